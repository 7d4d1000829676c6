"""Generations in Redis, for whoever publishes and moves them: blocking, as these are jobs and not requests.

What is known of generations changes by comparing and setting (``change_generations`` in functions.lua): every step
computes the next state from the one it read, and Redis takes it only if nobody else was faster.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from models.candidates import CandidateTable
from models.errors import ConflictError, NotFoundError, PreconditionError
from service.store import functions, keys
from service.store.candidate_codec import encode_table
from service.store.clients import Argument
from service.store.connection import SyncConnection
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall
from service.store.generation_record import Gate, GenerationRecord, GenerationState, Sweep
from service.store.keys import MetaKeys

PART_BYTES = 1024 * 1024
LEASE = timedelta(seconds=60)
"""How long a publisher may be silent before it is taken for dead."""
SAFETY = timedelta(minutes=5)
"""A retired generation that expires sooner than this cannot be made live again: its lists might go while it is."""
ATTEMPTS = 20
BLOCK = 4_096
"""Customers written in one pipeline."""


@dataclass(frozen=True, slots=True)
class Overview:
    """Is what Redis knew of generations at one moment: bytes as they are compared, and records as they are read."""

    pointer: bytes
    last: bytes
    fields: dict[str, bytes]

    @property
    def live(self) -> GenerationRecord | None:
        """Give the generation that the pointer names."""
        return GenerationRecord.from_json(self.pointer) if self.pointer else None

    @property
    def live_generation(self) -> int:
        """Give the number of the generation that the pointer names, 0 for none."""
        return self.live.generation if self.live else 0

    @property
    def records(self) -> list[GenerationRecord]:
        """Give every record, newest generation first."""
        return sorted(map(GenerationRecord.from_json, self.fields.values()), key=lambda record: -record.generation)

    def record(self, generation: int) -> GenerationRecord | None:
        """Give one record."""
        content = self.fields.get(str(generation))
        return None if content is None else GenerationRecord.from_json(content)

    @property
    def held(self) -> list[GenerationRecord]:
        """Give the generations that are held, newest first."""
        return [record for record in self.records if record.hold_time is not None]

    def revivable(self, now: datetime) -> list[GenerationRecord]:
        """Give the retired generations whose lists will be there long enough to be served again, newest first."""
        return [
            record
            for record in self.records
            if record.state is GenerationState.RETIRED
            and (record.expire_time is None or record.expire_time > now + SAFETY)
        ]


class GenerationStore:
    """Writes, moves and describes the generations of tenants. Failures of Redis are UnavailableError throughout."""

    def __init__(self, connection: SyncConnection) -> None:
        self.connection = connection
        self._client = connection.client

    def overview(self, tenant: str) -> Overview:
        """Read what is known of generations."""
        meta = MetaKeys(tenant)
        with reaching_redis():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.execute_command("GET", meta.pointer)
            pipeline.execute_command("GET", meta.last_generation)
            pipeline.execute_command("HGETALL", meta.generations)
            pointer, last, fields = pipeline.execute()
        return Overview(pointer or b"", last or b"", {name.decode(): value for name, value in fields.items()})

    def now(self) -> datetime:
        """Give the time of Redis, which all publishers share, in whole milliseconds, as records keep it."""
        with reaching_redis():
            seconds, microseconds = self._client.execute_command("TIME")
        return datetime.fromtimestamp(seconds, UTC) + timedelta(milliseconds=microseconds // 1_000)

    def check_layout(self, tenant: str) -> None:
        """Make sure that keys and values are of this release's layout. PreconditionError when they are of another."""
        expected = f'{{"layout":{keys.LAYOUT_VERSION},"shards":{keys.SHARD_COUNT}}}'.encode()
        with reaching_redis():
            self._client.execute_command("SETNX", MetaKeys(tenant).layout, expected)
            found = self._client.execute_command("GET", MetaKeys(tenant).layout)
        if found != expected:
            raise PreconditionError(f"Redis holds another layout of keys than this release: {found.decode()}")

    def begin(
        self, tenant: str, model_version: str, last_event_time: datetime, gate: Gate = Gate.UNASKED
    ) -> GenerationRecord:
        """Begin a generation; it is this publisher's as long as it is extended."""
        first = int((datetime.now(UTC) - keys.EPOCH).total_seconds())
        for _ in range(ATTEMPTS):
            seen, now = self.overview(tenant), self.now()
            number = int(seen.last) + 1 if seen.last else first
            record = GenerationRecord(
                number,
                model_version,
                GenerationState.WRITING,
                now,
                last_event_time=last_event_time.replace(microsecond=last_event_time.microsecond // 1_000 * 1_000),
                lease_time=now + LEASE,
                gate=gate,
            )
            if self.change(tenant, seen, [record], last=number):
                return record
        raise ConflictError("other publishers keep beginning generations")

    def write_lists(self, tenant: str, generation: int, table: CandidateTable) -> Iterator[int]:
        """Write the lists of a table into a generation, and give the number written after each step."""
        prefixes = [keys.candidates_prefix(tenant, generation, shard) for shard in range(keys.SHARD_COUNT)]
        values = encode_table(table)
        for start in range(0, len(table), BLOCK):
            customer_ids = table.customer_ids[start : start + BLOCK]
            commands: list[list[Argument]] = [["MSET"] for _ in prefixes]
            for customer_id, value in zip(customer_ids, values, strict=False):
                shard = keys.shard_of(customer_id)
                commands[shard] += (prefixes[shard] + customer_id, value)
            self.run([command for command in commands if len(command) > 1])
            yield len(customer_ids)

    def erased(self, tenant: str) -> frozenset[bytes]:
        """Give what recognises erased customers: BLAKE2b of their ids, 8 bytes each."""
        found: set[bytes] = set()
        for shard in range(keys.SHARD_COUNT):
            with reaching_redis():
                found.update(self._client.execute_command("HKEYS", keys.erased_key(tenant, shard)))
        return frozenset(found)

    def remove_lists(self, tenant: str, generation: int, customer_ids: Sequence[str]) -> None:
        """Remove the lists of customers from a generation."""
        self.run([["UNLINK", keys.candidates_key(tenant, generation, customer_id)] for customer_id in customer_ids])

    def write_items(self, tenant: str, generation: int, content: bytes) -> int:
        """Write the item model of a generation in parts, and give their number."""
        return self._write_parts(partial(MetaKeys(tenant).model_part, generation), content)

    def write_fold(self, tenant: str, generation: int, content: bytes) -> int:
        """Write what the lists of a generation are made fresh with in parts, and give their number."""
        return self._write_parts(partial(MetaKeys(tenant).fold_part, generation), content)

    def update(self, tenant: str, record: GenerationRecord, changed: GenerationRecord) -> GenerationRecord:
        """Replace the record of a generation that is being written, which is a sign of life too.

        ConflictError when the generation was taken for dead meanwhile.
        """
        for _ in range(ATTEMPTS):
            seen = self.overview(tenant)
            if seen.record(record.generation) != record:
                break
            changed = replace(changed, lease_time=self.now() + LEASE)
            if self.change(tenant, seen, [changed]):
                return changed
        raise ConflictError(f"generation {record.generation} was taken for abandoned: its publisher was silent")

    def go_live(self, tenant: str, record: GenerationRecord, expected: int) -> GenerationRecord:
        """Move the pointer to a generation that is written.

        ConflictError unless generation ``expected`` (0 for none) is still live and nobody gave this one up.
        """
        for _ in range(ATTEMPTS):
            seen, now = self.overview(tenant), self.now()
            if seen.live_generation != expected or seen.record(record.generation) != record:
                break
            live = replace(
                record,
                state=GenerationState.LIVE,
                state_time=now,
                publish_time=now,
                lease_time=None,
                previous=seen.live_generation,
            )
            if self._move(tenant, seen, live):
                return live
        raise ConflictError("another publisher or a roll back was faster; nothing of this publish is served")

    def set_beside(self, tenant: str, record: GenerationRecord) -> GenerationRecord:
        """Hold a generation that is written, beside whichever is live. ConflictError when somebody gave it up."""
        for _ in range(ATTEMPTS):
            seen, now = self.overview(tenant), self.now()
            if seen.record(record.generation) != record:
                break
            written = replace(record, state=GenerationState.RETIRED, publish_time=now, lease_time=None)
            held = replace(written, state_time=now, hold_time=now)
            if self.change(tenant, seen, [held]):
                return held
        raise ConflictError(f"generation {record.generation} was taken for abandoned: its publisher was silent")

    def hold(self, tenant: str, model_version: str) -> GenerationRecord:
        """Hold the newest generation of a version, be it live or not. NotFoundError when none is whole and stays."""
        for _ in range(ATTEMPTS):
            seen, now = self.overview(tenant), self.now()
            known = [*seen.held, *([seen.live] if seen.live else []), *seen.revivable(now)]
            found = next((record for record in known if record.model_version == model_version), None)
            if found is None:
                raise NotFoundError(f"Redis holds no generation of model {model_version!r}: publish it first")
            held = found if found.hold_time is not None else found.held(now)
            if held is found or self._rewrite(tenant, seen, [held]):
                return held
        raise ConflictError("others keep changing the generations")

    def release(self, tenant: str, model_version: str) -> GenerationRecord:
        """Let whatever is held of a version go; what is not live expires from now on. NotFoundError when nothing is."""
        for _ in range(ATTEMPTS):
            seen, now = self.overview(tenant), self.now()
            released = [record.released(now) for record in seen.held if record.model_version == model_version]
            if not released:
                raise NotFoundError(f"no generation of model {model_version!r} is held")
            if self._rewrite(tenant, seen, released):
                return released[0]
        raise ConflictError("others keep changing the generations")

    def abandon(self, tenant: str, generation: int) -> None:
        """Give a generation up that is being written; its lists are left to a sweep."""
        for _ in range(ATTEMPTS):
            seen = self.overview(tenant)
            record = seen.record(generation)
            if record is None or record.state is not GenerationState.WRITING:
                return
            aborted = replace(
                record, state=GenerationState.ABORTED, state_time=self.now(), sweep=Sweep.UNLINK, lease_time=None
            )
            if self.change(tenant, seen, [aborted]):
                return

    def promote(self, tenant: str, model_version: str, *, force: bool = False) -> GenerationRecord:
        """Move the pointer to the newest generation of a version.

        NotFoundError when none is whole and stays; PreconditionError unless the gate had let it through, or ``force``.
        """
        for _ in range(ATTEMPTS):
            seen, now = self.overview(tenant), self.now()
            if seen.live is not None and seen.live.model_version == model_version:
                return seen.live
            targets = [record for record in seen.revivable(now) if record.model_version == model_version]
            if not targets:
                raise NotFoundError(f"Redis holds no generation of model {model_version!r}: publish it first")
            if targets[0].gate is not Gate.PASSED and not force:
                said = "refused" if targets[0].gate is Gate.REFUSED else "was not asked about"
                raise PreconditionError(f"the gate {said} model {model_version!r} before it was published")
            revived = targets[0].revived(now, seen.live_generation)
            if self._move(tenant, seen, revived):
                return revived
        raise ConflictError("others keep moving the pointer")

    def roll_back(self, tenant: str) -> GenerationRecord:
        """Move the pointer to the generation that was live before. PreconditionError when there is none any more."""
        for _ in range(ATTEMPTS):
            seen, now = self.overview(tenant), self.now()
            wanted = seen.live.previous if seen.live else 0
            targets = [record for record in seen.revivable(now) if record.generation == wanted]
            if not targets:
                raise PreconditionError("no earlier generation is left in Redis: publish the model that you want back")
            revived = targets[0].revived(now, targets[0].previous)
            if self._move(tenant, seen, revived):
                return revived
        raise ConflictError("others keep moving the pointer")

    def change(
        self,
        tenant: str,
        seen: Overview,
        records: Sequence[GenerationRecord],
        *,
        forgotten: Sequence[int] = (),
        pointer: bytes = b"",
        last: int = 0,
    ) -> bool:
        """Store and forget records, and set pointer and last number where given.

        False, with nothing changed, when any of it is no longer as it was seen.
        """
        meta = MetaKeys(tenant)
        arguments: list[Argument] = [seen.pointer, pointer, seen.last, str(last) if last else b""]
        news = {str(record.generation): record.to_json() for record in records}
        news |= {str(generation): b"" for generation in forgotten}
        for name, content in news.items():
            arguments += (name, seen.fields.get(name, b""), content)
        call = FunctionCall(
            functions.CHANGE_GENERATIONS,
            (meta.pointer, meta.last_generation, meta.generations),
            tuple(arguments),
        )
        with reaching_redis():
            return functions.call_blocking(self.connection, call) == 1

    def run(self, commands: Sequence[Sequence[Argument]]) -> None:
        """Run commands in one pipeline."""
        with reaching_redis():
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            pipeline.execute()

    def _write_parts(self, key_of: Callable[[int], str], content: bytes) -> int:
        parts = [content[start : start + PART_BYTES] for start in range(0, len(content), PART_BYTES)]
        for number, part in enumerate(parts):
            self.run([["SET", key_of(number), part]])
        return len(parts)

    def _rewrite(self, tenant: str, seen: Overview, records: Sequence[GenerationRecord]) -> bool:
        """Change records and leave the pointer where it is, with the record that it holds a copy of."""
        live = next((record for record in records if record.generation == seen.live_generation), None)
        return self.change(tenant, seen, records, pointer=b"" if live is None else live.to_json())

    def _move(self, tenant: str, seen: Overview, live: GenerationRecord) -> bool:
        """Make a record the live one, and the one that was live a retired one, in one step."""
        before = seen.record(seen.live_generation)
        retired = [] if before is None else [before.retired(live.state_time)]
        return self.change(tenant, seen, [*retired, live], pointer=live.to_json())
