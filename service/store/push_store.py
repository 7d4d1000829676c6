"""The push queue: what waits in each shard by when it is due, and what is remembered of each customer's pushes.

What Redis does in one step stands in functions.lua. Times are seconds since 1970 by the clock of the caller.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.pushes import Push, PushMark, PushState
from models.triggers import Trigger
from service.store import functions, keys
from service.store.candidate_codec import digest_of
from service.store.clients import Argument
from service.store.connection import AsyncConnection
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall
from service.store.push_codec import SEPARATOR, decode_push, encode_mark, encode_push
from service.store.push_marks import MARK_SECONDS, PushMarks, join_marks, read_marks

OVERDUE_SECONDS = 7 * 24 * 3_600
"""A push that nobody leased so long after it was due is forgotten."""


@dataclass(frozen=True, slots=True)
class Leased:
    """Is a push that was leased, for the ``lease``-th time, and since when it was due."""

    push: Push
    lease: int
    due_time: float


class PushStore:
    """Leases and settles pushes. UnavailableError when that was not done in time; what was leased comes again."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._client = connection.client

    async def lease(self, tenant: str, now: float, until: float, count: int, timeout: float) -> list[Leased]:
        """Lease pushes that are due at ``now``, at most ``count`` of each shard."""
        found: list[Leased] = []
        with reaching_redis():
            async with asyncio.timeout(timeout):
                # One after the other: many calls at once would take every connection from others.
                for shard in range(keys.SHARD_COUNT):
                    arguments = repr(now), repr(until), count
                    call = FunctionCall(functions.LEASE_PUSHES, _queue(tenant, shard), arguments)
                    answer = await functions.ask(self._connection, call)
                    found += [
                        _read(content, float(due)) for due, content in zip(answer[::2], answer[1::2], strict=True)
                    ]
        return found

    async def grant(self, tenant: str, push: Push, trigger: Trigger, first_id: str, now: float, timeout: float) -> int:
        """Let a push go out under the customer's first id, if no other one went out too shortly before.

        Gives 0, or from when on it may, or -1 when the customer was erased.
        """
        names = keys.marks_key(tenant, first_id), keys.erased_key(tenant, keys.shard_of(first_id))
        pauses = trigger.spacing, trigger.cooldown
        arguments = (digest_of(first_id), push.push_id, trigger.trigger, int(now), *pauses, MARK_SECONDS)
        return await self._call(timeout, FunctionCall(functions.GRANT_PUSH, names, arguments))

    async def put_back(self, tenant: str, leased: Leased, due_time: float, timeout: float) -> bool:
        """Let a push wait until it is due again; False when the lease does not hold any more."""
        call = _settle(tenant, leased.push, str(leased.lease), repr(due_time), b"")
        return await self._call(timeout, call) == 1

    async def end(self, tenant: str, push: Push, lease: int, mark: PushMark, timeout: float) -> bool:
        """End a push for ever; False when it is not there any more, or the lease does not hold. Lease 0 is any."""
        call = _settle(tenant, push, str(lease or ""), "", encode_mark(mark, mark.time + MARK_SECONDS))
        return await self._call(timeout, call) == 1

    async def find(self, tenant: str, push_ids: Sequence[str], timeout: float) -> dict[str, Push]:
        """Find pushes that wait or are leased, in whichever shard they are."""
        if not push_ids:
            return {}
        names = [keys.pushes_key(tenant, shard) for shard in range(keys.SHARD_COUNT)]
        answers = await self._ask(timeout, [("HMGET", name, *push_ids) for name in names])
        found = [_read(value, 0.0).push for answer in answers for value in answer if value is not None]
        return {push.push_id: push for push in found}

    async def waiting(self, tenant: str, count: int, timeout: float) -> tuple[list[Leased], int]:
        """Give the pushes that are due next, in order, and how many there are; leased ones are due when that ends."""
        due = [keys.due_key(tenant, shard) for shard in range(keys.SHARD_COUNT)]
        pages = await self._ask(timeout, [("ZRANGE", name, 0, count - 1, "WITHSCORES") for name in due])
        totals = await self._ask(timeout, [("ZCARD", name) for name in due])
        listed = sorted(
            (float(score), shard, push_id)
            for shard, page in enumerate(pages)
            for push_id, score in zip(page[::2], page[1::2], strict=True)
        )[:count]
        by_shard: dict[int, list[tuple[bytes, float]]] = {}
        for score, shard, push_id in listed:
            by_shard.setdefault(shard, []).append((push_id, score))
        values = await self._ask(
            timeout,
            [
                ("HMGET", keys.pushes_key(tenant, shard), *(one for one, _ in found))
                for shard, found in by_shard.items()
            ],
        )
        waiting = [
            _read(content, due_time)
            for found, contents in zip(by_shard.values(), values, strict=True)
            for (_, due_time), content in zip(found, contents, strict=True)
            if content is not None
        ]
        return sorted(waiting, key=lambda one: one.due_time), sum(map(int, totals))

    async def marks(self, tenant: str, customer_ids: Sequence[str], timeout: float) -> PushMarks:
        """Give what is remembered of the pushes of a customer, under all of these ids of theirs."""
        names = [keys.marks_key(tenant, customer_id) for customer_id in customer_ids]
        found = await self._ask(timeout, [("HGETALL", name) for name in names])
        return join_marks(map(read_marks, found))

    async def _ask(self, timeout: float, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Run commands on one key each."""
        with reaching_redis():
            async with asyncio.timeout(timeout):
                return [await self._client.execute_command(*words) for words in commands]

    async def _call(self, timeout: float, call: FunctionCall) -> int:
        with reaching_redis():
            async with asyncio.timeout(timeout):
                return await functions.call(self._connection, call)


def add_call(tenant: str, customer_id: str, pushes: Sequence[Push], now: float) -> FunctionCall:
    """Make the call that adds pushes of one customer."""
    shard = keys.shard_of(customer_id)
    names = keys.erased_key(tenant, shard), *_queue(tenant, shard), keys.marks_key(tenant, customer_id)
    arguments: list[Argument] = [digest_of(customer_id), int(now), MARK_SECONDS]
    for push in pushes:
        mark = mark_of(push, PushState.WAITING, now)
        arguments += (
            push.push_id,
            repr(push.due_time),
            encode_push(push),
            encode_mark(mark, push.expire_time + MARK_SECONDS),
        )
    return FunctionCall(functions.ADD_PUSHES, names, tuple(arguments))


def forget_call(tenant: str, customer_id: str) -> FunctionCall:
    """Make the call that removes whatever there is of a customer's pushes."""
    names = *_queue(tenant, keys.shard_of(customer_id)), keys.marks_key(tenant, customer_id)
    return FunctionCall(functions.FORGET_PUSHES, names, ())


def overdue_call(tenant: str, shard: int, now: float, count: int) -> FunctionCall:
    """Make the call that forgets pushes of a shard that nobody leased."""
    return FunctionCall(functions.DROP_OVERDUE, _queue(tenant, shard), (repr(now - OVERDUE_SECONDS), count))


def mark_of(push: Push, state: PushState, now: float, reason: str = "") -> PushMark:
    """Give what is remembered of a push that is in a state from ``now`` on."""
    return PushMark(push.push_id, push.trigger, push.item_id, push.offer_id, state, now, reason)


def _settle(tenant: str, push: Push, lease: str, due_time: str, mark: bytes) -> FunctionCall:
    names = *_queue(tenant, keys.shard_of(push.customer_id)), keys.marks_key(tenant, push.customer_id)
    return FunctionCall(functions.SETTLE_PUSH, names, (push.push_id, lease, due_time, mark, MARK_SECONDS))


def _queue(tenant: str, shard: int) -> tuple[str, str]:
    return keys.due_key(tenant, shard), keys.pushes_key(tenant, shard)


def _read(value: bytes, due_time: float) -> Leased:
    lease, _, content = value.partition(SEPARATOR.encode())
    return Leased(decode_push(content), int(lease), due_time)
