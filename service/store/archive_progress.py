"""How far the log is archived: one record in Redis that says what is done, and what is being written now.

Before a batch is written its ranges are noted, so that whoever goes on after a killed worker writes the same file with
the same bytes. Only then is the note turned into progress, and only what is done may leave the log.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

from models.errors import UnavailableError
from service.store import keys
from service.store.archive import ArchivedEvent
from service.store.connection import SyncConnection
from service.store.faults import reaching_redis
from service.store.functions import SWAP, FunctionCall, call_blocking, run_keyed
from service.store.log_group import Fields, entry_of, numbers_of

PAGE = 1_000
"""Entries read at a time."""


@dataclass(frozen=True, slots=True)
class ArchiveProgress:
    """Counts the batches that are done; ids are by shard.

    ``done`` names the last archived entry of each shard. ``next`` names the last one of each shard that the next batch
    takes; it is empty when none was begun.
    """

    number: int = 0
    done: Mapping[int, str] = field(default_factory=dict)
    next: Mapping[int, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Write the record; equal records give equal bytes."""
        ids = [{str(shard): ids[shard] for shard in sorted(ids)} for ids in (self.done, self.next)]
        return json.dumps({"number": self.number, "done": ids[0], "next": ids[1]}, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read a record; empty is that of a log of which nothing is archived. UnavailableError when it is not one."""
        if not content:
            return cls()
        try:
            record = json.loads(content)
            done, following = (
                {int(shard): str(id_) for shard, id_ in record[name].items()} for name in ("done", "next")
            )
            return cls(int(record["number"]), done, following)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnavailableError("what Redis says of the archive cannot be read") from error

    def finished(self) -> Self:
        """Give the record after the batch that was begun is stored."""
        return replace(self, number=self.number + 1, done={**self.done, **self.next}, next={})

    @property
    def path(self) -> str:
        """Give the path of the batch that was begun: its day (UTC) is that of its last entry.

        The digest tells its ranges apart from others of the same number: a Redis that lost its newest second, or
        everything, may give a number a second time, and nothing may be written over.
        """
        last = max(numbers_of(entry_id)[0] for entry_id in self.next.values())
        day = datetime.fromtimestamp(last / 1_000, UTC).date().isoformat()
        digest = hashlib.sha256(self.to_json()).hexdigest()[:12]
        return f"day={day}/events-{self.number + 1:010d}-{digest}.parquet"

    def archived_before(self) -> list[tuple[int, int]]:
        """Give for each shard the id, as numbers, before which every entry is archived."""
        bounds = []
        for shard in range(keys.SHARD_COUNT):
            milliseconds, sequence = numbers_of(self.done.get(shard, "0-0"))
            bounds.append((milliseconds, sequence + 1))
        return bounds


class ArchivedLog:
    """Reads the log for the archive, and its progress. Failures of Redis are UnavailableError throughout."""

    def __init__(self, connection: SyncConnection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self._key = keys.MetaKeys(tenant).archive

    def progress(self) -> ArchiveProgress:
        """Read how far the archive is."""
        with reaching_redis():
            return ArchiveProgress.from_json(self._connection.client.execute_command("GET", self._key) or b"")

    def move(self, seen: ArchiveProgress, then: ArchiveProgress) -> bool:
        """Store progress; False, with nothing changed, when somebody else was faster."""
        expected = b"" if seen == ArchiveProgress() else seen.to_json()
        with reaching_redis():
            call = FunctionCall(SWAP, (self._key,), (expected, then.to_json()))
            return call_blocking(self._connection, call) == 1

    def unarchived(self, progress: ArchiveProgress) -> tuple[float, dict[int, str]]:
        """Give the time (seconds since 1970) of the oldest entry that is not archived, and each shard's newest entry.

        There is nothing to archive when no shard has one; the time is infinite then.
        """
        logs = [keys.log_key(self._tenant, shard) for shard in range(keys.SHARD_COUNT)]
        starts = [f"({progress.done[shard]}" if shard in progress.done else "-" for shard in range(len(logs))]
        commands = [(log, ("XRANGE", log, start, "+", "COUNT", 1)) for log, start in zip(logs, starts, strict=True)]
        commands += [(log, ("XREVRANGE", log, "+", start, "COUNT", 1)) for log, start in zip(logs, starts, strict=True)]
        with reaching_redis():
            answers = run_keyed(self._connection, commands)
        oldest = [numbers_of(page[0][0].decode())[0] / 1_000 for page in answers[: len(logs)] if page]
        newest = {shard: page[0][0].decode() for shard, page in enumerate(answers[len(logs) :]) if page}
        return min(oldest, default=float("inf")), newest

    def rest(self) -> Iterator[ArchivedEvent]:
        """Give the events that are in no batch yet, or in one that was only begun."""
        progress = self.progress()
        _, newest = self.unarchived(progress)
        return self.batch(replace(progress, next=newest))

    def batch(self, progress: ArchiveProgress) -> Iterator[ArchivedEvent]:
        """Give the events of the batch that was begun, in the order of the log; the same ones whenever it is asked.

        What cannot be read as an event is set aside by who applies it, and archived when it comes again; what was
        archived under an earlier entry is passed over.
        """
        for shard, end in sorted(progress.next.items()):
            for entry_id, fields in self._entries(shard, progress.done.get(shard), end):
                entry = entry_of(shard, entry_id, fields)
                if entry.event is not None and not entry.is_archived:
                    yield ArchivedEvent(shard, entry.entry_id, entry.event)

    def _entries(self, shard: int, after: str | None, end: str) -> Iterator[tuple[bytes, Fields]]:
        """Give the entries of a shard from behind one id to another."""
        start = "-" if after is None else f"({after}"
        while True:
            command = ("XRANGE", keys.log_key(self._tenant, shard), start, end, "COUNT", PAGE)
            with reaching_redis():
                page = self._connection.client.execute_command(*command)
            yield from page
            if len(page) < PAGE:
                return
            start = "(" + page[-1][0].decode()
