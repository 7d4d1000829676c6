"""One process of a fleet as its supervisor sees it: started, kept running, renewed, ended."""

import asyncio
import contextlib
import json
import socket
import sys
import time
from pathlib import Path

import structlog

from models.errors import DangolError, UnavailableError
from service.lifeline import Lifeline, or_raise
from service.settings import Settings, hand_over

_COMMAND = (sys.executable, "-P", "-m", "service.fleet_member")
_START_PATIENCE = 60.0
_STOP_PATIENCE = 15.0  # seconds beyond the drain
_POLL = 0.02
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a process that ended by itself is started again; doubled each time, up to the longest."""
STEADY_SECONDS = 30.0
"""A process that lived so long before it ended begins with the first pause again."""


class MemberProcess:
    """Keeps one server process running. ``settings`` are its own; the port that it got once it keeps."""

    def __init__(self, number: int, settings: Settings, redis_url: str, directory: Path) -> None:
        self.number = number
        self.restarts = 0
        self.address = ""
        self.process_id = 0
        self._settings = settings
        self._redis_url = redis_url
        self._ready_file = directory / f"process-{number}.json"
        self._told: dict[str, str] = {}
        self._ready = asyncio.Event()
        self._ending = False
        self._renewing = False
        self._log = structlog.get_logger("dangol").bind(process=number)

    @property
    def metrics_address(self) -> str:
        """Give where its own metrics are; empty while it does not run, or when they are off."""
        return self._told.get("metrics_address", "") if self._ready.is_set() else ""

    async def start(self) -> None:
        """Start it and return once it listens. DangolError, as it says itself, when it ends before that."""
        self._ready_file.unlink(missing_ok=True)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=theirs.fileno(),
                # A Ctrl-C in the terminal is for the supervisor, which drains all of them.
                start_new_session=True,
            )
        self.process_id = self._process.pid
        self._lifeline = await Lifeline.over(ours)
        listen = self.address or self._settings.listen
        self._lifeline.tell(
            settings=hand_over(
                self._settings, redis_url=self._redis_url, listen=listen, ready_file=str(self._ready_file)
            )
        )
        await self._wait_until_ready()

    async def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_PATIENCE
        while not self._ready_file.exists():
            if self._process.returncode is not None:
                or_raise(await self._lifeline.hear() or {})
                raise UnavailableError(f"process {self.number} ended at its start; its log says why")
            if time.monotonic() > deadline:
                self._process.kill()
                raise UnavailableError(f"process {self.number} does not start")
            await asyncio.sleep(_POLL)
        self._told = json.loads(self._ready_file.read_text())
        self.address = self._told["address"]
        self._ready.set()

    async def keep_running(self) -> None:
        """Start it again whenever it ends, by itself after a pause; return when it ends because it shall."""
        pause = 0.0
        while True:
            begun = time.monotonic()
            code = await self._process.wait()
            self._ready.clear()
            self._lifeline.close()
            if self._ending:
                return
            if self._renewing or time.monotonic() - begun >= STEADY_SECONDS:
                pause = 0.0
            if not self._renewing:
                pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
                self._log.warning("a process ended by itself", exit_code=code, pause=pause)
                await asyncio.sleep(pause)
            self._renewing = False
            self.restarts += 1
            try:
                await self.start()
            except DangolError as error:
                self._log.warning("a process cannot be started", problem=str(error))

    async def renew(self) -> None:
        """Drain it, start it anew and return when it listens again."""
        self._renewing = True
        self._ready.clear()
        self._terminate()
        await self._ready.wait()

    async def end(self) -> None:
        """Drain it and wait for its end; when that takes much longer than a drain may, kill it."""
        self._ending = True
        self._terminate()
        try:
            async with asyncio.timeout(self._settings.drain_delay + self._settings.drain_timeout + _STOP_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self._log.warning("a process does not end and is killed")
            self._process.kill()

    def _terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
