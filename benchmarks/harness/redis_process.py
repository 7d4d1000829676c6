"""A real Redis that may be killed, started again, frozen and emptied."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import redis

from service.store.embedded import find_server

_PATIENCE = 60.0  # seconds; only a broken server takes so long


class RedisProcess:
    """Runs Redis on a port of the loopback that stays the same, with the append-only file of the embedded default."""

    def __init__(self, directory: Path, fsync: str = "everysec") -> None:
        """``fsync`` is Redis' ``appendfsync``."""
        self._directory = directory
        self._fsync = fsync
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Give the URL that clients connect to."""
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def client(self) -> redis.Redis:
        """Make a client to look at what is stored; close it."""
        return redis.Redis(port=self.port, protocol=2)

    def start(self) -> None:
        """Start and wait until commands are served, the append-only file read."""
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._directory))
        durable = ("--appendonly", "yes", "--appendfsync", self._fsync)
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([find_server(), *options, *durable], stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        with self.client() as client:
            while not _answers(client):
                if time.monotonic() > deadline or self._process.poll() is not None:
                    msg = f"Redis does not start; see {self._directory / 'redis.log'}"
                    raise RuntimeError(msg)
                time.sleep(0.005)

    def kill(self) -> None:
        """Kill it with SIGKILL, frozen or not, and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Halt it with SIGSTOP: connections stay open and nothing answers. Returns when it stands still."""
        process_id = self._process_id
        os.kill(process_id, signal.SIGSTOP)
        while psutil.Process(process_id).status() != psutil.STATUS_STOPPED:
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._process_id, signal.SIGCONT)

    def empty(self) -> None:
        """Remove everything in it."""
        with self.client() as client:
            client.flushall()

    @property
    def _process_id(self) -> int:
        if self._process is None:
            msg = "Redis was not started"
            raise RuntimeError(msg)
        return self._process.pid


def free_port() -> int:
    """Give a port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
