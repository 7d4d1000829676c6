"""Notes which customers met an experiment, in the log of events, without any answer waiting for it."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

import structlog

from models.errors import UnavailableError
from models.events import EXPOSURE, Event
from service.decision.query import Query
from service.store.event_log import EventLog

_BATCH = 500
_MAXIMAL_WAITING = 20_000
_MAXIMAL_REMEMBERED = 500_000
_PAUSE = 0.1  # seconds that exposures gather before they are written together
_RETRY = 1.0


class Exposures:
    """Records each customer's exposure to each experiment once a day (UTC), by all processes together.

    An exposure that is lost, as its process was killed or Redis was long away, takes the customer's day out of the
    report whatever the arm, so that no comparison leans to one side.
    """

    def __init__(self, log: EventLog, timeout: float, is_lost: Callable[[], bool] = lambda: False) -> None:
        """``timeout`` bounds each write, in seconds; while ``is_lost`` says so, Redis is not asked."""
        self._log = log
        self._timeout = timeout
        self._is_lost = is_lost
        self._waiting: deque[tuple[str, Event]] = deque(maxlen=_MAXIMAL_WAITING)
        self._noted: set[tuple[str, str, str, str]] = set()
        self._day = 0
        self._lost = 0
        self._arrived = asyncio.Event()

    def note(self, tenant: str, customer_id: str, query: Query, request_id: str) -> None:
        """Take down what experiments did to an answer; what was noted today already is passed over."""
        day = int(query.now // 86_400)
        if day != self._day or len(self._noted) > _MAXIMAL_REMEMBERED:
            self._noted.clear()
            self._day = day
        for slate in query.slates:
            treatment = slate.treatment
            if treatment is None:
                continue
            key = (tenant, treatment.experiment_id, treatment.arm, customer_id)
            if key not in self._noted:
                self._noted.add(key)
                self._lost += len(self._waiting) == _MAXIMAL_WAITING
                self._waiting.append((tenant, _event(day, key, query.now, request_id)))
                self._arrived.set()

    async def run(self) -> None:
        """Write what was noted, for ever. Runs as a task."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_PAUSE)
            self._arrived.clear()
            if not await self.flush():
                self._arrived.set()
                await asyncio.sleep(_RETRY)

    async def flush(self) -> bool:
        """Write what was noted; False when something is left because Redis cannot be used."""
        while self._waiting:
            tenant = self._waiting[0][0]
            batch = [event for owner, event in islice(self._waiting, _BATCH) if owner == tenant]
            if self._is_lost():
                return False
            try:
                await self._log.append(tenant, batch, self._timeout)
            except UnavailableError as error:
                structlog.get_logger("dangol").warning("exposures wait for redis", problem=str(error))
                return False
            written = {event.event_id for event in batch}
            while self._waiting and self._waiting[0][1].event_id in written:
                self._waiting.popleft()
        if self._lost:
            structlog.get_logger("dangol").warning("exposures were lost", count=self._lost)
            self._lost = 0
        return True


def _event(day: int, key: tuple[str, str, str, str], now: float, request_id: str) -> Event:
    """Make the event; its id is the same in every process, so that the log takes it once."""
    _, experiment_id, arm, customer_id = key
    digest = hashlib.sha256(f"{day}/{experiment_id}/{arm}/{customer_id}".encode()).hexdigest()[:32]
    return Event(
        event_id=f"{EXPOSURE}-{digest}",
        customer_id=customer_id,
        event_type=EXPOSURE,
        event_time=datetime.fromtimestamp(now, UTC),
        request_id=request_id,
        arm=arm,
        experiment_id=experiment_id,
    )
