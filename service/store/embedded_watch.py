"""Waits until no process uses an embedded Redis any more, then shuts it down.

Runs as a process of its own and imports nothing of ours, so that it starts in milliseconds. Every user process holds
a shared lock on one file, which the kernel takes back even from a process that is killed: who gets the exclusive lock
knows that nobody is left. Called as ``python -I -S embedded_watch.py <lock file> <socket>``.
"""

import fcntl
import os
import socket
import sys
from pathlib import Path

SHUTDOWN_TIMEOUT = 30.0


def shut_down(socket_path: Path) -> None:
    """Shut the Redis behind a unix socket down and wait until it is gone; one that is gone already is fine.

    The append-only file is flushed to disk before Redis ends. OSError when it refuses or does not end within 30
    seconds.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SHUTDOWN_TIMEOUT)
        try:
            connection.connect(str(socket_path))
            connection.sendall(b"SHUTDOWN FORCE\r\n")
            while reply := connection.recv(4096):
                if reply.startswith(b"-"):
                    raise OSError(f"Redis refused to shut down: {reply.decode(errors='replace').strip()}")
        except (ConnectionError, FileNotFoundError):
            return


def main(lock_path: str, socket_path: str) -> None:
    """Leave whoever called, its process group and its pipes; wait for the exclusive lock; shut Redis down."""
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    with Path(lock_path).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shut_down(Path(socket_path))


if __name__ == "__main__":
    main(*sys.argv[1:])
