"""Keeps, for a while, which customers have which items in their lists, and reads it anew when it has grown too old."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from models.candidate_index import CandidateIndex

Read = Callable[[str, int, int, Callable[[int], None]], CandidateIndex]
"""Reads all lists of a tenant's generation, whose model has so many items, and tells how many after each step."""


class _StoppedError(Exception):
    """Says that the server goes before all lists are read."""


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Holds an index of one generation. Lists are as they were at ``time`` (seconds since 1970, UTC), or newer."""

    index: CandidateIndex
    generation: int
    time: float


@dataclass(slots=True, eq=False)
class Reading:
    """Is the reading of all lists of one generation, for everybody who waits for it; ``read_count`` of them so far."""

    generation: int
    task: "asyncio.Task[Listing]" = field(init=False)
    read_count: int = 0


class CandidateIndexes:
    """Holds the newest index. Use it from one event loop; lists are read in a thread."""

    def __init__(self, read: Read, lifetime: float, now: Callable[[], float] = time.time) -> None:
        """``lifetime`` in seconds bounds how long an index, and with it anybody's id, stays in memory."""
        self._read = read
        self.lifetime = lifetime
        self._now = now
        self._listing: Listing | None = None
        self._reading: Reading | None = None
        self._stopped = threading.Event()
        self._log = structlog.get_logger("dangol")

    def newest(self, generation: int, since: float) -> Listing | None:
        """Give the index of a generation if its lists are as they were at ``since`` or newer."""
        listing = self._listing
        if listing is None or listing.generation != generation or listing.time < since:
            return None
        return listing

    def begin(self, tenant: str, generation: int, item_count: int) -> Reading:
        """Begin to read the lists of a generation, unless that is being done already."""
        reading = self._reading
        if reading is None or reading.generation != generation or reading.task.done():
            reading = self._reading = Reading(generation)
            reading.task = asyncio.create_task(self._build(tenant, reading, item_count))
            # Whoever waited may have gone; then nobody else asks what became of it.
            reading.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return reading

    async def aclose(self) -> None:
        """Stop reading, and forget everything."""
        self._stopped.set()
        self._listing = None
        if self._reading is not None:
            await asyncio.wait({self._reading.task})

    async def _build(self, tenant: str, reading: Reading, item_count: int) -> Listing:
        def step(count: int) -> None:
            if self._stopped.is_set():
                raise _StoppedError
            reading.read_count += count

        begin, started = self._now(), time.monotonic()
        index = await asyncio.to_thread(self._read, tenant, reading.generation, item_count, step)
        seconds = time.monotonic() - started
        self._log.info("lists are indexed", customers=len(index), bytes=index.size, seconds=round(seconds, 2))
        listing = self._listing = Listing(index, reading.generation, begin)
        asyncio.get_running_loop().call_later(max(0.0, self.lifetime - seconds), self._forget, listing)
        return listing

    def _forget(self, listing: Listing) -> None:
        if self._listing is listing:
            self._listing = None
