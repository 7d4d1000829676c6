"""Everything about customers that one request needs, in one round trip that many requests share."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import UnavailableError
from models.profile import EMPTY_PROFILE
from service.store import candidate_codec, keys, profile_codec
from service.store.bulk_reads import Values, bulk_reads
from service.store.connection import AsyncConnection
from service.store.customer_state import UNKNOWN, CustomerState
from service.store.faults import reaching_redis
from service.store.generation_record import GenerationRecord

MAXIMAL_BATCHES = 4
"""How many MGETs are in flight."""
PACE_SECONDS = 0.002
"""Between the beginnings of two batches: a command costs more than the keys in it, and a busy server hands its calls
over one by one, so that without a pace each would have a command of its own. A read that comes after a pause waits
for nothing."""
PATIENT_TURNS = 8
"""Turns of the event loop after a timeout before a read is given up. A busy loop notices the timeout before the answer
that has been waiting in the socket; these turns, microseconds when nothing waits, are what taking the answer needs."""
_LOOK_SECONDS = 0.002
"""Between two looks at whether a read has waited for too long."""
MAXIMAL_BATCH_KEYS = 2_048
"""Above this many keys, further reads wait for the next batch."""


@dataclass(slots=True)
class CustomerRead:
    """Holds customers in the order asked.

    ``pointer`` is the generation that Redis named live in the same read; None when Redis is empty.
    """

    pointer: int | None
    customers: Sequence[CustomerState]


_Found = tuple[bytes | None, Values]
"""Is what one read is answered with: the value of its pointer key, and those of its other keys in order."""


class _Pending:
    """Is one read that waits for its part of a batch: a pointer key, and some keys for each customer.

    ``due`` is when it is given up, on the clock of the event loop.
    """

    __slots__ = ("due", "future", "names", "pointer")

    def __init__(self, pointer: str, names: Sequence[str], future: asyncio.Future[_Found], due: float) -> None:
        self.pointer = pointer
        self.names = names
        self.future = future
        self.due = due


class CustomerReader:
    """Reads customers. All reads of one moment share one MGET (on a Cluster, one per hash tag).

    A batch belongs to nobody: whoever gives up waiting only stops waiting. The command runs on to its answer or to
    the client's own timeout, so no reply is ever left on a connection for somebody else to read. Use it from one
    event loop only; its connection should be one of its own with a short timeout.
    """

    def __init__(self, connection: AsyncConnection, timeout: float = 0.25, pace: float = PACE_SECONDS) -> None:
        """``timeout`` (seconds) bounds each command, after which its connection is given up; ``pace`` see above."""
        self._pace = pace
        self._reads = bulk_reads(connection, timeout)
        self._waiting: deque[_Pending] = deque()
        self._flush_scheduled = False
        self._next_flush = 0.0
        self._watched: list[_Pending] = []
        self._batches: set[asyncio.Task[None]] = set()
        self._pointer_keys: dict[str, str] = {}
        self._last_pointer: tuple[bytes, int] = (b"", 0)

    async def read(self, tenant: str, generation: int, customer_ids: Sequence[str], timeout: float) -> CustomerRead:
        """Read lists of a generation, and profiles. UnavailableError on any failure or after ``timeout`` seconds."""
        names: list[str] = []
        for customer_id in customer_ids:
            names += keys.customer_keys(tenant, generation, customer_id)
        pointer, values = await self._asked(tenant, names, timeout)
        states = [
            decode_state(customer_id, values[index], values[index + 1])
            for index, customer_id in zip(range(0, len(values), 2), customer_ids, strict=True)
        ]
        return CustomerRead(self._pointer_of(pointer), states)

    async def values(self, tenant: str, names: Sequence[str], timeout: float) -> tuple[int | None, Values]:
        """Read some keys of customers, and the generation that is live. UnavailableError as :meth:`read`."""
        pointer, values = await self._asked(tenant, names, timeout)
        return self._pointer_of(pointer), values

    async def aclose(self) -> None:
        """Wait for what is in flight. Reads that begin later fail with their timeout."""
        while self._batches:
            await asyncio.wait(self._batches)

    def _asked(self, tenant: str, names: Sequence[str], timeout: float) -> asyncio.Future[_Found]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Found] = loop.create_future()
        pending = _Pending(self._pointer_key(tenant), names, future, loop.time() + timeout)
        self._waiting.append(pending)
        self._schedule_flush(loop)
        if not self._watched:
            loop.call_later(_LOOK_SECONDS, self._look)
        self._watched.append(pending)
        return future

    def _look(self) -> None:
        """Give up what is due. One look at all reads costs less than a timer for each."""
        loop = asyncio.get_running_loop()
        now, open_reads = loop.time(), []
        for pending in self._watched:
            if pending.future.done():
                continue
            if pending.due <= now:
                loop.call_soon(_give_up, pending.future, PATIENT_TURNS)
            else:
                open_reads.append(pending)
        self._watched = open_reads
        if open_reads:
            loop.call_later(_LOOK_SECONDS, self._look)

    def _pointer_key(self, tenant: str) -> str:
        pointer = self._pointer_keys.get(tenant)
        if pointer is None:
            pointer = self._pointer_keys[tenant] = keys.MetaKeys(tenant).pointer
        return pointer

    def _schedule_flush(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._flush_scheduled:
            return
        self._flush_scheduled = True
        wait = self._next_flush - loop.time()
        if wait > 0:
            loop.call_later(wait, self._flush)
        else:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what waits, as far as batches are free; the end of a batch comes back here."""
        self._flush_scheduled = False
        loop = asyncio.get_running_loop()
        self._next_flush = loop.time() + self._pace
        while self._waiting and len(self._batches) < MAXIMAL_BATCHES:
            batch = self._next_batch()
            if batch:
                task = loop.create_task(self._run(batch))
                self._batches.add(task)
                task.add_done_callback(self._batch_ended)

    def _next_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        while self._waiting and size < MAXIMAL_BATCH_KEYS:
            pending = self._waiting.popleft()
            if not pending.future.done():
                batch.append(pending)
                size += len(pending.names)
        return batch

    def _batch_ended(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        if self._waiting:
            self._schedule_flush(asyncio.get_running_loop())

    async def _run(self, batch: list[_Pending]) -> None:
        problem = "Redis was not asked"
        try:
            with reaching_redis():
                await self._fetch(batch)
        except UnavailableError as error:
            problem = str(error)
        finally:
            for pending in batch:
                if not pending.future.done():
                    pending.future.set_exception(UnavailableError(problem))

    async def _fetch(self, batch: list[_Pending]) -> None:
        pointers = dict.fromkeys(pending.pointer for pending in batch)
        names = [*pointers, *(name for pending in batch for name in pending.names)]
        values = await self._reads.get(names)
        found = dict(zip(pointers, values, strict=False))
        start = len(pointers)
        for pending in batch:
            end = start + len(pending.names)
            if not pending.future.done():
                pending.future.set_result((found[pending.pointer], values[start:end]))
            start = end

    def _pointer_of(self, value: bytes | None) -> int | None:
        if value is None:
            return None
        if value != self._last_pointer[0]:
            self._last_pointer = (value, GenerationRecord.from_json(value).generation)
        return self._last_pointer[1]


def _give_up(future: asyncio.Future[Any], turns: int) -> None:
    if future.done():
        return
    if turns:
        asyncio.get_running_loop().call_soon(_give_up, future, turns - 1)
    else:
        future.set_exception(UnavailableError("Redis did not answer in time"))


def decode_state(customer_id: str, candidates: bytes | None, profile: bytes | None) -> CustomerState:
    """Read what lies under a customer's two keys."""
    if candidates is None and profile is None:
        return UNKNOWN
    digest = candidate_codec.digest_of(customer_id)
    return CustomerState(
        None if candidates is None else candidate_codec.decode(candidates, digest),
        EMPTY_PROFILE if profile is None else profile_codec.decode(profile, digest),
    )
