"""Everything about customers that one request needs, in one round trip that many requests share."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import UnavailableError
from models.profile import EMPTY_PROFILE
from service.store import candidate_codec, keys, profile_codec
from service.store.address import Topology
from service.store.clients import AsyncClient
from service.store.connection import AsyncConnection
from service.store.customer_state import UNKNOWN, CustomerState
from service.store.faults import reaching_redis
from service.store.generation_record import GenerationRecord

MAXIMAL_BATCHES = 4
"""How many MGETs are in flight, large ones included."""
LARGE_BATCH_KEYS = 512
"""Above this many keys a batch is large: others may overtake it."""
SHARING_SECONDS = 0.005
"""While a batch that is not large is younger than this, reads wait for its end and share the next: a command costs
more than the keys in it. An older one is overtaken, as its connection may have lost a packet."""
PATIENT_TURNS = 8
"""Turns of the event loop after a timeout before a read is given up. A busy loop notices the timeout before the answer
that has been waiting in the socket; these turns, microseconds when nothing waits, are what taking the answer needs."""
MAXIMAL_BATCH_KEYS = 2_048
"""Above this many keys, further reads wait for the next batch."""


@dataclass(frozen=True, slots=True)
class CustomerRead:
    """Holds customers in the order asked.

    ``pointer`` is the generation that Redis named live in the same read; None when Redis is empty.
    """

    pointer: int | None
    customers: Sequence[CustomerState]


class _Pending:
    """Is one read that waits for its part of a batch: a pointer key, then some keys for each customer."""

    __slots__ = ("future", "keys", "tenant")

    def __init__(self, tenant: str, keys_: list[str], future: asyncio.Future[list[bytes | None]]) -> None:
        self.tenant = tenant
        self.keys = keys_
        self.future = future


class CustomerReader:
    """Reads customers. All reads of one tick of the event loop share one MGET (on a Cluster, one per hash tag).

    A batch belongs to nobody: whoever gives up waiting only stops waiting. The command runs on to its answer or to
    the client's own timeout, so no reply is ever left on a connection for somebody else to read. Use it from one
    event loop only; its connection should be one of its own with a short timeout.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._client = connection.client
        self._is_cluster = connection.topology is Topology.CLUSTER
        self._waiting: deque[_Pending] = deque()
        self._flush_scheduled = False
        self._batches: set[asyncio.Task[None]] = set()
        self._small_batches: dict[asyncio.Task[None], float] = {}
        self._pointer_keys: dict[str, str] = {}
        self._last_pointer: tuple[bytes, int] = (b"", 0)

    async def read(self, tenant: str, generation: int, customer_ids: Sequence[str], timeout: float) -> CustomerRead:
        """Read lists of a generation, and profiles. UnavailableError on any failure or after ``timeout`` seconds."""
        names: list[str] = []
        for customer_id in customer_ids:
            names += keys.customer_keys(tenant, generation, customer_id)
        pointer, values = await self.values(tenant, names, timeout)
        states = [
            decode_state(customer_id, values[index], values[index + 1])
            for index, customer_id in zip(range(0, len(values), 2), customer_ids, strict=True)
        ]
        return CustomerRead(pointer, states)

    async def values(self, tenant: str, names: Sequence[str], timeout: float) -> tuple[int | None, list[bytes | None]]:
        """Read some keys of customers, and the generation that is live. UnavailableError as :meth:`read`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[bytes | None]] = loop.create_future()
        self._waiting.append(_Pending(tenant, [self._pointer_key(tenant), *names], future))
        if not self._flush_scheduled:
            self._flush_scheduled = True
            loop.call_soon(self._flush)
        alarm = loop.call_later(timeout, _give_up, future, PATIENT_TURNS)
        try:
            values = await future
        finally:
            alarm.cancel()
        return self._pointer_of(values[0]), values[1:]

    async def aclose(self) -> None:
        """Wait for what is in flight. Reads that begin later fail with their timeout."""
        while self._batches:
            await asyncio.wait(self._batches)

    def _pointer_key(self, tenant: str) -> str:
        pointer = self._pointer_keys.get(tenant)
        if pointer is None:
            pointer = self._pointer_keys[tenant] = keys.MetaKeys(tenant).pointer
        return pointer

    def _flush(self) -> None:
        """Send what waits, as far as batches are free; the end of a batch comes back here."""
        self._flush_scheduled = False
        loop = asyncio.get_running_loop()
        while self._waiting and len(self._batches) < MAXIMAL_BATCHES and not self._is_sharing(loop.time()):
            batch = self._next_batch()
            if batch:
                task = loop.create_task(self._run(batch))
                self._batches.add(task)
                if sum(len(pending.keys) for pending in batch) <= LARGE_BATCH_KEYS:
                    self._small_batches[task] = loop.time()
                task.add_done_callback(self._batch_ended)

    def _is_sharing(self, now: float) -> bool:
        return any(now - begin < SHARING_SECONDS for begin in self._small_batches.values())

    def _next_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        while self._waiting and size < MAXIMAL_BATCH_KEYS:
            pending = self._waiting.popleft()
            if not pending.future.done():
                batch.append(pending)
                size += len(pending.keys)
        return batch

    def _batch_ended(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._small_batches.pop(task, None)
        self._flush()

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
        names = [name for pending in batch for name in pending.keys]
        values = await (_fetch_by_tag(self._client, names) if self._is_cluster else _fetch(self._client, names))
        start = 0
        for pending in batch:
            end = start + len(pending.keys)
            if not pending.future.done():
                pending.future.set_result(values[start:end])
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


async def _fetch(client: AsyncClient, names: list[str]) -> list[bytes | None]:
    values: list[bytes | None] = await client.execute_command("MGET", *names)
    return values


async def _fetch_by_tag(client: AsyncClient, names: list[str]) -> list[bytes | None]:
    """Read from a Cluster: one MGET for the keys of each hash tag, all at once."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name[name.index("{") : name.index("}")], []).append(place)
    groups = list(places.values())
    answers = await asyncio.gather(*(_fetch(client, [names[place] for place in group]) for group in groups))
    values: list[bytes | None] = [None] * len(names)
    for group, answer in zip(groups, answers, strict=True):
        for place, value in zip(group, answer, strict=True):
            values[place] = value
    return values
