"""Reading customers while Redis may fail: a budget for each read, a breaker, and a prober that closes it again."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from models.errors import UnavailableError
from service.handlers.caller import Context
from service.handlers.telemetry import Telemetry
from service.store.customer_reader import CustomerRead, CustomerReader
from service.store.health import RedisHealth
from service.store.record_reader import RecordReader

_FAILURES_THAT_OPEN = 3
_SHARE_OF_DEADLINE = 0.4
_SECONDS_PER_CUSTOMER = 0.0002  # a batch may take this much longer for each of its customers


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Says how long a read may take and how often a lost Redis is asked whether it is back, in seconds."""

    timeout: float = 0.03
    probe_interval: float = 0.1
    probe_timeout: float = 0.05


class CustomerReads:
    """Reads customers, or tells at once that they cannot be read."""

    def __init__(
        self, reader: CustomerReader, health: RedisHealth, telemetry: Telemetry, settings: ReadSettings
    ) -> None:
        self._reader = reader
        self._records = RecordReader(reader)
        self._health = health
        self._telemetry = telemetry
        self._settings = settings
        self._failures = 0
        self._opened = asyncio.Event()
        self._log = structlog.get_logger("dangol")

    @property
    def is_open(self) -> bool:
        """Tell whether Redis is given up for the time being, so that nothing waits for it."""
        return self._opened.is_set()

    async def read(
        self,
        tenant: str,
        generation: int,
        customer_ids: Sequence[str],
        context: Context,
        *,
        with_records: bool = False,
        with_counters: bool = False,
    ) -> CustomerRead | None:
        """Read customers within the context's deadline, or give None when that cannot be done now.

        ``with_records`` reads what the shop stored of them too, ``with_counters`` what caps count of them.
        DeadlineError when the deadline has passed already.
        """
        extra = _SECONDS_PER_CUSTOMER * (len(customer_ids) - 1)
        budget = context.budget(self._settings.timeout + extra, _SHARE_OF_DEADLINE)
        if self._opened.is_set():
            return None
        start = time.monotonic()
        try:
            if with_records or with_counters:
                read = await self._records.read(tenant, generation, customer_ids, budget, with_counters=with_counters)
            else:
                read = await self._reader.read(tenant, generation, customer_ids, budget)
        except UnavailableError:
            self._telemetry.read(time.monotonic() - start, failed=True)
            self._failed()
            return None
        self._telemetry.read(time.monotonic() - start, failed=False)
        self._failures = 0
        return read

    async def probe(self) -> None:
        """Wait for the breaker to open, then ask until Redis answers, and close it; for ever. Runs as a task."""
        while True:
            await self._opened.wait()
            await asyncio.sleep(self._settings.probe_interval)
            try:
                await self._health.ping(self._settings.probe_timeout)
            except UnavailableError:
                continue
            self._failures = 0
            self._opened.clear()
            self._log.info("redis is back")

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= _FAILURES_THAT_OPEN and not self._opened.is_set():
            self._opened.set()
            self._log.warning("redis is given up for now", failures=self._failures)
