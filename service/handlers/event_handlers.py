"""EventService: what customers do, acknowledged when it is stored."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from datetime import UTC, datetime

from dangol.v1 import event_pb2, event_service_pb2
from models.counters import NO_CAPS, OfferCaps
from models.errors import UnavailableError
from models.events import EVENT_TYPES, EXPOSURE, Event
from service.handlers.caller import Caller, Context
from service.handlers.event_messages import events_from
from service.store.event_log import AppendResult, EventLog

Redeem = Callable[[Caller, Sequence[Event], Context], Awaitable[None]]


async def _redeem_nothing(_caller: Caller, _events: Sequence[Event], _context: Context) -> None:
    pass


def _utc_now() -> datetime:
    return datetime.now(UTC)


class EventHandlers:
    """Answers EventService."""

    def __init__(
        self,
        log: EventLog,
        write_timeout: float,
        extra_event_types: Set[str] = frozenset(),
        now: Callable[[], datetime] = _utc_now,
        is_lost: Callable[[], bool] = lambda: False,
        redeem: Redeem = _redeem_nothing,
        caps: Callable[[str], OfferCaps] = lambda _tenant: NO_CAPS,
    ) -> None:
        """``write_timeout`` in seconds bounds an append whatever the deadline of the call.

        While ``is_lost`` says that Redis cannot be used, events are refused at once: clients that send again and again
        would otherwise keep the process busy with connecting, and answers waiting. ``redeem`` counts redemptions,
        ``caps`` gives what else is counted in a tenant.
        """
        self._log = log
        self._write_timeout = write_timeout
        self._event_types = (extra_event_types | set(EVENT_TYPES)) - {EXPOSURE}
        self._now = now
        self._is_lost = is_lost
        self._redeem = redeem
        self._caps = caps

    async def record_events(
        self, caller: Caller, request: event_service_pb2.RecordEventsRequest, context: Context
    ) -> event_service_pb2.RecordEventsResponse:
        """Store a batch of events once per event id, and count redemptions; UnavailableError unless all is done."""
        result = await self._record(caller, request.events, context)
        return event_service_pb2.RecordEventsResponse(
            recorded_count=result.recorded, duplicate_count=result.duplicates, erased_count=result.erased
        )

    async def stream_events(
        self, caller: Caller, requests: AsyncIterator[event_service_pb2.StreamEventsRequest], context: Context
    ) -> AsyncIterator[event_service_pb2.StreamEventsResponse]:
        """Store batch after batch as :meth:`record_events` does. None is read before the one before it is stored."""
        async for request in requests:
            result = await self._record(caller, request.events, context)
            yield event_service_pb2.StreamEventsResponse(
                recorded_count=result.recorded, duplicate_count=result.duplicates, erased_count=result.erased
            )

    async def _record(self, caller: Caller, messages: Sequence[event_pb2.Event], context: Context) -> AppendResult:
        events = events_from(messages, self._event_types, self._now())
        context.facts["events"] = int(context.facts.get("events", 0)) + len(events)
        if self._is_lost():
            raise UnavailableError("Redis cannot be used now")
        budget = context.budget(self._write_timeout, 0.9)
        result = await self._log.append(caller.tenant, events, budget, self._caps(caller.tenant))
        # Also for events recorded before: the batch may come again because it did not get this far.
        await self._redeem(caller, events, context)
        return result
