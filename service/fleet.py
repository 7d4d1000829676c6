"""Several server processes under one supervisor, which keeps them running and renews them one after the other."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from models.errors import InvalidInputError
from service.fleet_metrics import FleetCollector
from service.member_process import MemberProcess
from service.metrics_server import serving_metrics
from service.process import stop_on_signals, write_ready_file
from service.settings import Settings, split_address

REJOIN_SECONDS = 1.5
"""How long clients may take to find a process again that listens anew: three times the longest pause of `dangol.client`
between two attempts to connect. Before that the next process does not go."""


async def supervise_fleet(settings: Settings, redis_url: str) -> None:
    """Keep processes serving until SIGTERM or SIGINT, then drain them all and return; SIGHUP renews them in turn.

    DangolError when a process cannot be started at all; one that ends later is started again.
    """
    log = structlog.get_logger("dangol")
    stopping = stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="dangol-") as temporary, _reserved(settings) as listens:
        key = settings.log_hash_key.get_secret_value() or secrets.token_hex(16)
        members = [
            MemberProcess(number, _settings_of_member(settings, listen, key), redis_url, Path(temporary))
            for number, listen in enumerate(listens)
        ]
        fleet = Fleet(settings, members)
        try:
            await asyncio.gather(*(member.start() for member in members))
            with _metrics(settings, members) as metrics_port:
                await fleet.run(stopping, metrics_port)
                log.info("draining")
        finally:
            await asyncio.gather(*(member.end() for member in members))
    log.info("stopped")


class Fleet:
    """Is the processes once all of them have been started."""

    def __init__(self, settings: Settings, members: Sequence[MemberProcess]) -> None:
        self._settings = settings
        self._members = members
        self._metrics_port: int | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("dangol")

    async def run(self, stopping: asyncio.Event, metrics_port: int | None) -> None:
        """Keep all running until they shall stop."""
        self._metrics_port = metrics_port
        self._tell_ready()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._begin_renewal)
        waiting = asyncio.create_task(stopping.wait())
        keeping = [asyncio.create_task(member.keep_running()) for member in self._members]
        done, _ = await asyncio.wait((waiting, *keeping), return_when=asyncio.FIRST_COMPLETED)
        loop.remove_signal_handler(signal.SIGHUP)
        for task in (waiting, *keeping, *filter(None, (self._renewal,))):
            task.cancel()
        for task in done:
            task.result()

    def _begin_renewal(self) -> None:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        """Drain and start one process after the other; the next goes when clients are back on the one before."""
        self._log.info("renewing")
        for member in self._members:
            await member.renew()
            await asyncio.sleep(REJOIN_SECONDS)
            self._tell_ready()
        self._log.info("renewed")

    def _tell_ready(self) -> None:
        """Say where callers and metrics are."""
        addresses = list(dict.fromkeys(member.address for member in self._members))
        facts: dict[str, object] = {
            "address": addresses[0],
            "addresses": addresses,
            "process_id": os.getpid(),
            "process_ids": [member.process_id for member in self._members],
        }
        if self._metrics_port is not None:
            facts["metrics_address"] = f"{split_address(self._settings.metrics_listen)[0]}:{self._metrics_port}"
        self._log.info("listening with several processes", **facts)
        write_ready_file(self._settings, facts)


def _settings_of_member(settings: Settings, listen: str, log_hash_key: str) -> Settings:
    """Give the settings of one process: like the fleet's, with addresses of its own and one key for all hashes."""
    metrics = "off" if settings.metrics_listen == "off" else "127.0.0.1:0"
    own = {"listen": listen, "metrics_listen": metrics, "processes": 1, "log_hash_key": SecretStr(log_hash_key)}
    return settings.model_copy(update=own)


@contextlib.contextmanager
def _metrics(settings: Settings, members: Sequence[MemberProcess]) -> Iterator[int | None]:
    registry = CollectorRegistry()
    registry.register(FleetCollector(members))
    with serving_metrics(settings.metrics_listen, registry) as port:
        yield port


@contextlib.contextmanager
def _reserved(settings: Settings) -> Iterator[list[str]]:
    """Give the address of each process; a port that they share stays reserved as long as the context."""
    host, port = split_address(settings.listen)
    if not settings.share_port:
        yield [f"{host}:{port + number if port else 0}" for number in range(settings.processes)]
        return
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Bound and not listening: it takes no connections, and tells which port was free.
    with socket.socket(family) as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            reservation.bind((host.strip("[]"), port))
        except OSError as error:
            raise InvalidInputError("listen", f"cannot listen on {settings.listen}") from error
        yield [f"{host}:{reservation.getsockname()[1]}"] * settings.processes
