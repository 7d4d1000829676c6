"""Starts a real ``dangol serve`` beside the demo, and never leaves it behind unless it is told to."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.interrupts import uninterrupted
from dangol.client import Client, ClientError
from models.errors import PreconditionError, UnavailableError

START_SECONDS = 30.0
STOP_SECONDS = 15.0
_NOTE = "server.json"


class ServerProcess:
    """Is a server on a free loopback port; leaving the context stops it, unless ``keep`` was called."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._kept = False
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    @property
    def process_id(self) -> int:
        """Give the process id of the running server, 0 before it started."""
        return self._process.pid if self._process else 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or not self._kept:
            self._stop()

    @property
    def log(self) -> Path:
        """Lead to what the server says."""
        return self._home / "server.log"

    def _start(self) -> None:
        ready = self._home / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "cli.main", "--home", str(self._home), "serve"]
        command += ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--ready-file", str(ready)]
        environment = bare_environment() | {"DANGOL_DRAIN_DELAY": "0"}
        with self.log.open("wb") as log, uninterrupted():
            # A session of its own: Ctrl-C in the terminal reaches the demo alone, which then ends the server.
            self._process = subprocess.Popen(  # noqa: S603 - this very program, without a shell
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if ready.exists():
                self.address = str(json.loads(ready.read_text())["address"])
                ready.unlink()
                return self._wait_until_it_serves(deadline)
            time.sleep(0.02)
        raise UnavailableError(f"the server does not start: {_last_line(self.log)}: see {self.log}")

    def _wait_until_it_serves(self, deadline: float) -> None:
        with Client(self.address, timeout=1.0) as client:
            while not _serves(client):
                if time.monotonic() > deadline:
                    raise UnavailableError(f"the server runs but does not serve: see {self.log}")
                time.sleep(0.02)

    def keep(self) -> None:
        """Let the server live on after the context, and note where it is for the next demo."""
        self._kept = True
        note = {"process_id": self.process_id, "address": self.address}
        (self._home / _NOTE).write_text(json.dumps(note))

    def _stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        with uninterrupted():
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def bare_environment() -> dict[str, str]:
    """Give the environment less what the person has set for servers and workers of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DANGOL_")}


def refuse_second(home: Path) -> None:
    """Raise PreconditionError when a demo that was kept still runs in this home."""
    try:
        note = json.loads((home / _NOTE).read_text())
        process_id, address = int(note["process_id"]), str(note["address"])
        os.kill(process_id, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return
    with Client(address, timeout=1.0) as client:
        if _serves(client):
            raise PreconditionError(
                f"a demo that was kept still serves at {address}: stop it with `kill {process_id}`, then try again"
            )


def _serves(client: Client) -> bool:
    try:
        return client.serving()
    except ClientError:
        return False


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")
