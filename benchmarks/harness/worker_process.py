"""A ``dangol worker`` that may be killed."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.harness.dangol_process import clean_environment

_PATIENCE = 60.0  # seconds; only a broken worker takes so long


class WorkerProcess:
    """Is a worker. Enter it to start it; leaving kills it unless it ended before.

    ``settings`` are those of docs/operations.md by their names in small letters.
    """

    def __init__(self, home: Path, name: str, redis_url: str, settings: Mapping[str, object] | None = None) -> None:
        self._home = home
        self._name = name
        self._redis_url = redis_url
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self.metrics_address = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def log(self) -> Path:
        """Give the file with what the worker logged."""
        return self._home / f"{self._name}.log"

    def start(self) -> None:
        """Start and wait until it works."""
        ready = self._home / f"{self._name}.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "cli.main", "--home", str(self._home), "worker", "--ready-file", str(ready)]
        command += ["--metrics-listen", "127.0.0.1:0", "--redis-url", self._redis_url]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment(self._settings)
            )
        deadline = time.monotonic() + _PATIENCE
        while not ready.exists():
            if time.monotonic() > deadline or self._process.poll() is not None:
                msg = f"the worker does not start; see {self.log}"
                raise RuntimeError(msg)
            time.sleep(0.01)
        self.metrics_address = str(json.loads(ready.read_text())["metrics_address"])

    def kill(self) -> None:
        """Kill it with SIGKILL and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """Send SIGTERM, wait for the end and give the exit code."""
        if self._process is None:
            return -1
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_PATIENCE)
