"""Counters for caps in Redis: what is counted for one customer, and for all customers together."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from models.counters import EVER, Move, OfferCaps, counter_name
from models.terms import CapScope
from service.store import functions, keys
from service.store.connection import AsyncConnection
from service.store.counter_codec import GRACE_SECONDS, encode_moves
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall
from service.store.profile_codec import encode_header


class CapStore:
    """Counts decisions, and adds up what is counted for everybody. Events are counted where they are recorded."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._client = connection.client

    async def count(self, tenant: str, customer_id: str, moves: Sequence[Move], timeout: float) -> None:
        """Count decisions for a customer. UnavailableError when it is not known whether they are counted."""
        call = _count_call(tenant, customer_id, moves)
        with reaching_redis():
            async with asyncio.timeout(timeout):
                await functions.call(self._connection, call)

    async def totals(self, tenant: str, buckets: Iterable[str], timeout: float) -> Mapping[str, int]:
        """Add up over all shards what is counted in these buckets, by counter_name. UnavailableError."""
        totals: dict[str, int] = {}
        with reaching_redis():
            async with asyncio.timeout(timeout):
                for bucket in buckets:
                    for shard in range(keys.SHARD_COUNT):  # one after the other, as nobody waits for it
                        counts = await self._client.execute_command("HGETALL", keys.totals_key(tenant, shard, bucket))
                        for counter, count in counts.items():
                            name = counter_name(bucket, counter.decode())
                            totals[name] = totals.get(name, 0) + int(count)
        return totals

    async def forget(self, tenant: str, caps: OfferCaps, timeout: float) -> None:
        """Forget what is counted for everybody for ever, of offers that are gone with their caps. UnavailableError."""
        counters = {cap.counter(offer_id): None for offer_id, own in caps.items() for cap in own}
        if not counters:
            return
        with reaching_redis():
            async with asyncio.timeout(timeout):
                for shard in range(keys.SHARD_COUNT):
                    await self._client.execute_command("HDEL", keys.totals_key(tenant, shard, EVER), *counters)


def split_moves(tenant: str, shard: int, moves: Sequence[Move]) -> tuple[bytes, list[str], list[str | int]]:
    """Give what a customer's counters are moved by, and for everybody's the keys and the arguments."""
    own = encode_moves(move for move in moves if move.scope is CapScope.CUSTOMER)
    names: list[str] = []
    arguments: list[str | int] = []
    for scope, bucket, counter in moves:
        if scope is CapScope.TOTAL:
            names.append(keys.totals_key(tenant, shard, bucket.name))
            arguments += (counter, bucket.end + GRACE_SECONDS)
    return own, names, arguments


def _count_call(tenant: str, customer_id: str, moves: Sequence[Move]) -> FunctionCall:
    own, names, arguments = split_moves(tenant, keys.shard_of(customer_id), moves)
    tombstones = keys.erased_key(tenant, keys.shard_of(customer_id))
    return FunctionCall(
        functions.COUNT_DECISIONS,
        (tombstones, keys.counters_key(tenant, customer_id), *names),
        (encode_header(customer_id), own, *arguments),
    )
