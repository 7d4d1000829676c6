"""The durable log of events, and the profiles that follow from it."""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from models.counters import NO_CAPS, OfferCaps, moves_of
from models.events import EXPOSURE, Event
from models.profile import MAXIMAL_PROFILE_EVENTS
from service.store import functions, keys, profile_codec
from service.store.cap_store import split_moves
from service.store.connection import AsyncConnection, SyncConnection
from service.store.disk_wait import DiskWait
from service.store.event_codec import decode_event, encode_event
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall

DAY_SECONDS = 24 * 3_600
PROFILE_SLACK = 32
"""Records above MAXIMAL_PROFILE_EVENTS before a profile is trimmed, so that trimming is rare."""
EXPORT_PAGE = 1_000
_ERASED_UNIT = 65_536  # more than a batch holds


@dataclass(frozen=True, slots=True)
class EventLogSettings:
    """Says how long event ids are remembered, and profiles of customers of whom nothing is heard. Days.

    ``on_disk`` says whether events are acknowledged only when Redis has them on its disk.
    """

    remembered_days: float = 7.0
    profile_days: float = 180.0
    on_disk: bool = False


@dataclass(frozen=True, slots=True)
class AppendResult:
    """Counts the events that were stored now, and those that had been stored before under the same id.

    ``erased`` are events of erased customers, which were dropped.
    """

    recorded: int
    duplicates: int
    erased: int = 0


class EventLog:
    """Appends events: to the log of the customer's shard and to the profile, in one step, once per event id."""

    def __init__(
        self, connection: AsyncConnection, settings: EventLogSettings | None = None, disk: DiskWait | None = None
    ) -> None:
        """With ``disk`` nothing counts as appended before it is on Redis' disk."""
        self._connection = connection
        self._settings = settings or EventLogSettings()
        self._disk = disk

    async def append(
        self, tenant: str, events: Sequence[Event], timeout: float, caps: OfferCaps = NO_CAPS
    ) -> AppendResult:
        """Append events, and count for ``caps``. UnavailableError when not all were stored in ``timeout`` seconds.

        Some may be stored then; to append the same events again is safe, as each counts once per customer and id.
        """
        calls = _calls(tenant, events, self._settings, caps)
        with reaching_redis():
            async with asyncio.timeout(timeout):
                answer = sum(await _all(functions.call(self._connection, call) for call in calls))
                if self._disk is not None:
                    await self._disk.settle(tenant)
        return _result(answer, events)


def append_blocking(
    connection: SyncConnection,
    tenant: str,
    events: Sequence[Event],
    settings: EventLogSettings | None = None,
    caps: OfferCaps = NO_CAPS,
    *,
    archived: bool = False,
) -> AppendResult:
    """Append events as :meth:`EventLog.append` does, blocking; ``archived`` ones count but do not enter the log."""
    calls = _calls(tenant, events, settings or EventLogSettings(), caps, archived=archived)
    with reaching_redis():
        answer = sum(functions.call_blocking(connection, call) for call in calls)
    return _result(answer, events)


def _result(answer: int, events: Sequence[Event]) -> AppendResult:
    """Read what the function said, summed over the shards."""
    erased, recorded = divmod(answer, _ERASED_UNIT)
    return AppendResult(recorded, len(events) - recorded - erased, erased)


def read_log(connection: SyncConnection, tenant: str) -> Iterator[Event]:
    """Give every event in the log, shard by shard, each shard in the order of recording."""
    for shard in range(keys.SHARD_COUNT):
        after = "-"
        while True:
            with reaching_redis():
                page = connection.client.execute_command(
                    "XRANGE", keys.log_key(tenant, shard), after, "+", "COUNT", EXPORT_PAGE
                )
            for _, entry in page:
                yield decode_event(entry[b"event"])
            if len(page) < EXPORT_PAGE:
                break
            after = "(" + page[-1][0].decode()


def _calls(
    tenant: str, events: Sequence[Event], settings: EventLogSettings, caps: OfferCaps, *, archived: bool = False
) -> list[FunctionCall]:
    """Make one call for each shard that the events touch, keeping their order."""
    by_shard: dict[int, list[Event]] = {}
    for event in events:
        by_shard.setdefault(keys.shard_of(event.customer_id), []).append(event)
    limits = (
        int(settings.remembered_days * DAY_SECONDS),
        int(settings.profile_days * DAY_SECONDS),
        MAXIMAL_PROFILE_EVENTS,
        PROFILE_SLACK,
    )
    calls = []
    for shard, shard_events in by_shard.items():
        names = [keys.log_key(tenant, shard), keys.erased_key(tenant, shard)]
        arguments: list[bytes | str | int] = []
        for event in shard_events:
            moves = moves_of(event, caps[event.offer_id]) if event.offer_id in caps else ()
            own, total_names, totals = split_moves(tenant, shard, moves)
            names += (
                keys.seen_key(tenant, shard, event.event_id),
                keys.profile_key(tenant, event.customer_id),
                keys.counters_key(tenant, event.customer_id),
                *total_names,
            )
            arguments += (
                b"" if archived else encode_event(event),
                profile_codec.encode_header(event.customer_id),
                # That a customer met an experiment is nothing that they did.
                b"" if event.event_type == EXPOSURE else profile_codec.encode_record(event),
                own,
                len(total_names),
                *totals,
            )
        calls.append(FunctionCall(functions.RECORD_EVENTS, tuple(names), (*limits, *arguments)))
    return calls


async def _all(calls: Iterable[Awaitable[int]]) -> list[int]:
    """Wait for every call, also when one fails: none may go on behind the caller's back."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
