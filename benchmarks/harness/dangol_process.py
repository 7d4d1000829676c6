"""The product's own command line, in processes that may be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

_PATIENCE = 60.0  # seconds; only a broken server takes so long


def start_dangol(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a command without waiting for its end."""
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "--home", str(home), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment({}),
    )


def run_dangol(home: Path, *arguments: str) -> str:
    """Run a command to its end and give what it printed. RuntimeError when it failed."""
    process = start_dangol(home, *arguments)
    printed, complaint = process.communicate(timeout=5 * _PATIENCE)
    if process.returncode != 0:
        msg = f"dangol {' '.join(arguments)} ended with {process.returncode}: {complaint}"
        raise RuntimeError(msg)
    return printed


class ServerProcess:
    """Is a ``dangol serve``. Enter it to start it; leaving kills it unless it ended before.

    ``settings`` are those of docs/operations.md by their names in small letters. Started again, it listens on the
    same port.
    """

    def __init__(self, home: Path, name: str, redis_url: str, settings: Mapping[str, object] | None = None) -> None:
        self._home = home
        self._name = name
        self._redis_url = redis_url
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = home / f"{name}.json"
        self.address = "127.0.0.1:0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> Path:
        """Give the file with what the server logged."""
        return self._home / f"{self._name}.log"

    def start(self) -> None:
        """Start and wait until it listens."""
        self._ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "cli.main", "--home", str(self._home), "serve", "--listen", self.address]
        command += ["--metrics-listen", "off", "--ready-file", str(self._ready), "--redis-url", self._redis_url]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment(self._settings)
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._ready.exists():
            if time.monotonic() > deadline or self._process.poll() is not None:
                msg = f"the server does not start; see {self.log}"
                raise RuntimeError(msg)
            time.sleep(0.01)
        self.address = str(self._told["address"])

    @property
    def addresses(self) -> list[str]:
        """Give the addresses of all its processes."""
        addresses: list[str] = self._told.get("addresses", [self.address])
        return addresses

    @property
    def processes(self) -> list[psutil.Process]:
        """Give all processes that it consists of, the one that was started first."""
        if self._process is None:
            return []
        above = psutil.Process(self._process.pid)
        return [above, *above.children(recursive=True)]

    def renew(self) -> None:
        """Have each of its processes restarted, one after the other, and return when all have been."""
        before = set(self._told["process_ids"])
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 2 * _PATIENCE
        while not before.isdisjoint(self._told["process_ids"]):
            if time.monotonic() > deadline:
                msg = f"the processes are not restarted; see {self.log}"
                raise RuntimeError(msg)
            time.sleep(0.02)

    @property
    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._ready.read_text())
        return told

    def kill(self) -> None:
        """Kill it with SIGKILL and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for its end and give the exit code."""
        return -1 if self._process is None else self._process.wait(_PATIENCE)


def clean_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Give this process's environment without what a person has set for a server of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DANGOL_")}
    return kept | {f"DANGOL_{name.upper()}": str(value) for name, value in settings.items()}
