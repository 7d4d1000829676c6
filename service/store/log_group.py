"""The workers' side of the log: what is to be applied, and who works on it.

An entry belongs to the worker that got it until it is applied, or until that worker was silent for so long that another
one claims it. It may therefore be given twice, and what is done with it must bear that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from models.errors import InvalidInputError
from models.events import Event
from service.store import keys
from service.store.clients import Argument
from service.store.connection import SyncConnection
from service.store.event_codec import decode_event
from service.store.faults import reaching_redis
from service.store.functions import SET_ASIDE, FunctionCall, call_all_blocking, run_keyed

GROUP = "workers"
MAXIMAL_DELIVERIES = 5
"""An entry given so often and never applied is set aside: it may be what kills those who get it."""
_FORGOTTEN = 3_600_000  # milliseconds after which a silent worker that owes nothing is forgotten

Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Is an entry of the log. ``event`` is None when it cannot be read, ``problem`` then says why.

    ``is_archived`` holds for an event that was archived under an earlier entry, and set aside and appended again since.
    """

    shard: int
    entry_id: str
    event: Event | None
    problem: str = ""
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class ShardLag:
    """Counts a shard's entries: in the log, not yet given to a worker, given but not yet applied, set aside."""

    shard: int
    length: int
    waiting: int
    pending: int
    dead: int


class LogGroup:
    """Reads the log as one of the group of workers. Failures of Redis are UnavailableError throughout."""

    def __init__(self, connection: SyncConnection, tenant: str, consumer: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self._consumer = consumer
        self._logs = [keys.log_key(tenant, shard) for shard in range(keys.SHARD_COUNT)]

    def read(self, count: int) -> list[LogEntry]:
        """Take new entries, at most ``count`` of each shard; oldest first within a shard."""
        group = ("XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", count, "STREAMS")
        answers = self._ask([(log, (*group, log, ">")) for log in self._logs])
        return [
            entry_of(shard, entry_id, fields)
            for shard, streams in enumerate(answers)
            for _, page in streams or ()
            for entry_id, fields in page
        ]

    def claim(self, idle: float, count: int) -> list[LogEntry]:
        """Take over entries that somebody got ``idle`` seconds ago and did not apply, at most ``count`` of each shard.

        Those that were given too often already come with a problem.
        """
        milliseconds = int(idle * 1_000)
        command = (GROUP, self._consumer, milliseconds, "0-0", "COUNT", count)
        answers = self._ask([(log, ("XAUTOCLAIM", log, *command)) for log in self._logs])
        # What was deleted from the log is given without its fields, and Redis forgets it.
        pages = [[(entry_id, fields) for entry_id, fields in answer[1] if fields] for answer in answers]
        deliveries = self._deliveries(pages)
        return [
            entry_of(shard, entry_id, fields, deliveries[shard].get(entry_id, 0))
            for shard, page in enumerate(pages)
            for entry_id, fields in page
        ]

    def acknowledge(self, entries: Sequence[LogEntry]) -> None:
        """Say that entries are applied."""
        by_shard: dict[int, list[str]] = {}
        for entry in entries:
            by_shard.setdefault(entry.shard, []).append(entry.entry_id)
        commands = [(log := self._logs[shard], ("XACK", log, GROUP, *ids)) for shard, ids in by_shard.items()]
        with reaching_redis():
            run_keyed(self._connection, commands)

    def set_aside(self, entries: Sequence[tuple[LogEntry, str]]) -> int:
        """Take entries out of the group's work for the reason beside each, and give how many still were in it."""
        by_shard: dict[int, list[Argument]] = {}
        for entry, reason in entries:
            by_shard.setdefault(entry.shard, []).extend((entry.entry_id, reason, int(entry.event is not None)))
        calls = [
            FunctionCall(SET_ASIDE, (self._logs[shard], keys.dead_key(self._tenant, shard)), (GROUP, *arguments))
            for shard, arguments in by_shard.items()
        ]
        with reaching_redis():
            return sum(call_all_blocking(self._connection, calls))

    def forget_the_silent(self) -> None:
        """Remove workers from the group that owe nothing and were silent for an hour. No name is used twice."""
        answers = self._ask([(log, ("XINFO CONSUMERS", log, GROUP)) for log in self._logs])
        gone = [
            (log, ("XGROUP", "DELCONSUMER", log, GROUP, consumer["name"]))
            for log, consumers in zip(self._logs, answers, strict=True)
            for consumer in consumers
            if consumer["pending"] == 0 and consumer["idle"] > _FORGOTTEN
        ]
        with reaching_redis():
            run_keyed(self._connection, gone)

    def lags(self) -> list[ShardLag]:
        """Count what there is to do, shard by shard."""
        groups = self._ask([(log, ("XINFO GROUPS", log)) for log in self._logs])
        dead = [keys.dead_key(self._tenant, shard) for shard in range(keys.SHARD_COUNT)]
        lengths = self._ask([(log, ("XLEN", log)) for log in (*self._logs, *dead)])
        lags = []
        for shard, found in enumerate(groups):
            ours = _ours(found)
            # Redis cannot tell after entries were deleted in the midst of the log; then all may still be to be read.
            waiting = lengths[shard] if ours["lag"] is None else ours["lag"]
            lags.append(ShardLag(shard, lengths[shard], waiting, ours["pending"], lengths[keys.SHARD_COUNT + shard]))
        return lags

    def applied_before(self) -> list[tuple[int, int]]:
        """Give for each shard the id, as numbers, before which every entry is applied."""
        groups = self._ask([(log, ("XINFO GROUPS", log)) for log in self._logs])
        pending = self._ask([(log, ("XPENDING", log, GROUP)) for log in self._logs])
        bounds = []
        for found, summary in zip(groups, pending, strict=True):
            ours = _ours(found)
            if summary["pending"]:
                bounds.append(numbers_of(summary["min"].decode()))
            else:
                milliseconds, sequence = numbers_of(ours["last-delivered-id"].decode())
                bounds.append((milliseconds, sequence + 1))
        return bounds

    def trim(self, bounds: Sequence[tuple[int, int]]) -> None:
        """Remove the entries of each shard that stand before an id."""
        commands = [
            (log, ("XTRIM", log, "MINID", f"{milliseconds}-{sequence}"))
            for log, (milliseconds, sequence) in zip(self._logs, bounds, strict=True)
        ]
        with reaching_redis():
            run_keyed(self._connection, commands)

    def _deliveries(self, pages: Sequence[Sequence[tuple[bytes, Fields]]]) -> list[dict[bytes, int]]:
        """Count, shard by shard, how often each of the entries was given to somebody."""
        found: list[dict[bytes, int]] = [{} for _ in pages]
        shards = [shard for shard, page in enumerate(pages) if page]
        commands = [
            (log, ("XPENDING", log, GROUP, page[0][0], page[-1][0], len(page), self._consumer))
            for log, page in zip(self._logs, pages, strict=True)
            if page
        ]
        for shard, answer in zip(shards, self._ask(commands, parse_detail=True), strict=True):
            found[shard] = {entry["message_id"]: entry["times_delivered"] for entry in answer}
        return found

    def _ask(self, commands: Sequence[tuple[str, Sequence[Argument]]], **options: object) -> list[Any]:
        """Run commands, each beside its key; where the group does not exist, in a new or an emptied Redis, make it."""
        with reaching_redis():
            try:
                return run_keyed(self._connection, commands, **options)
            except ResponseError as error:
                if "NOGROUP" not in str(error) and "no such key" not in str(error):
                    raise
            self._join()
            return run_keyed(self._connection, commands, **options)

    def _join(self) -> None:
        for log in self._logs:
            try:
                run_keyed(self._connection, [(log, ("XGROUP", "CREATE", log, GROUP, "0", "MKSTREAM"))])
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


def _ours(groups: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Find the group of the workers; before the first of them came, it has got nothing."""
    nobody = {"pending": 0, "lag": None, "last-delivered-id": b"0-0"}
    return next((group for group in groups if group["name"] == GROUP.encode()), nobody)


def entry_of(shard: int, entry_id: bytes, fields: Fields, deliveries: int = 0) -> LogEntry:
    """Read an entry as Redis gives it."""
    name, is_archived = entry_id.decode(), fields.get(b"archived") == b"1"
    try:
        event = decode_event(fields[b"event"])
    except (InvalidInputError, KeyError):
        return LogEntry(shard, name, None, "is not an event as the log holds it", is_archived)
    problem = "" if deliveries <= MAXIMAL_DELIVERIES else f"was given to workers {deliveries} times and never applied"
    return LogEntry(shard, name, event, problem, is_archived)


def numbers_of(entry_id: str) -> tuple[int, int]:
    """Give an entry's id as what it is ordered by: milliseconds since 1970, and a sequence number."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
