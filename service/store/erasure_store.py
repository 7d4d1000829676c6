"""Erasing a customer: what is at once, under the keys that bear their ids. :mod:`erasure_sweep` finds the rest.

A tombstone comes first, in the shard of each id: from then on nothing that arrives late is stored again. It holds
digests of the id, never the id.
"""

import asyncio
from collections.abc import Iterable, Sequence

from models.erasures import Erasure, decode_erasure, encode_erasure, erased_id
from models.errors import PreconditionError
from service.store import functions, keys
from service.store.connection import AsyncConnection, SyncConnection
from service.store.customer_record_codec import encode_header
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall
from service.store.keys import MetaKeys
from service.store.push_store import forget_call

DIGEST = slice(8, 16)
"""Where the header of a value holds the digest of its customer's id."""


class ErasureStore:
    """Erases ids. UnavailableError when that was not done in time; the same again is safe."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._client = connection.client

    async def begin(self, tenant: str, erasure: Erasure, customer_ids: Sequence[str], timeout: float) -> None:
        """Write an erasure down, and put a tombstone in the place of what is known of each id."""
        with reaching_redis():
            async with asyncio.timeout(timeout):
                name = MetaKeys(tenant).erasures
                await self._client.execute_command("HSET", name, erasure.receipt_id, encode_erasure(erasure))
                for customer_id in customer_ids:
                    await functions.call(self._connection, _bury(tenant, customer_id))
                    await functions.call(self._connection, forget_call(tenant, customer_id))

    async def remove_lists(self, tenant: str, customer_ids: Sequence[str], timeout: float) -> None:
        """Remove the candidate lists of ids from every generation; begin the erasure before.

        Generations are looked up after the tombstones are there: whoever writes a later one sees them.
        """
        with reaching_redis():
            async with asyncio.timeout(timeout):
                generations = await self._client.execute_command("HKEYS", MetaKeys(tenant).generations)
                for customer_id in customer_ids:
                    names = [
                        name
                        for generation in generations
                        for name in keys.refresh_keys(tenant, int(generation), customer_id)
                    ]
                    if names:
                        await self._client.execute_command("UNLINK", *names)

    async def check(self, tenant: str, customer_ids: Iterable[str], timeout: float) -> None:
        """PreconditionError when one of these ids was erased."""
        with reaching_redis():
            async with asyncio.timeout(timeout):
                for customer_id in customer_ids:
                    tombstones = keys.erased_key(tenant, keys.shard_of(customer_id))
                    digest = encode_header(customer_id)[DIGEST]
                    if await self._client.execute_command("HEXISTS", tombstones, digest):
                        raise PreconditionError("one of these customers was erased; use another id")


def read_erasures(connection: SyncConnection, tenant: str) -> list[Erasure]:
    """Give every erasure that Redis knows, oldest first."""
    name = MetaKeys(tenant).erasures
    with reaching_redis():
        records = connection.client.execute_command("HVALS", name)
    return sorted((decode_erasure(record, name) for record in records), key=lambda erasure: erasure.erase_time)


def restore_erasures(connection: SyncConnection, tenant: str, erasures: Sequence[Erasure]) -> None:
    """Put back the tombstones of a Redis that lost them. Ids are not known: every shard gets all of them."""
    if not erasures:
        return
    tombstones = [
        part for erasure in erasures for one in erasure.ids for part in (bytes.fromhex(one.digest), one.sha256)
    ]
    with reaching_redis():
        for shard in range(keys.SHARD_COUNT):
            connection.client.execute_command("HSET", keys.erased_key(tenant, shard), *tombstones)
        for erasure in erasures:
            connection.client.execute_command(
                "HSET", MetaKeys(tenant).erasures, erasure.receipt_id, encode_erasure(erasure)
            )


def _bury(tenant: str, customer_id: str) -> FunctionCall:
    shard = keys.shard_of(customer_id)
    names = (
        keys.erased_key(tenant, shard),
        keys.profile_key(tenant, customer_id),
        keys.record_key(tenant, customer_id),
        keys.counters_key(tenant, customer_id),
    )
    return FunctionCall(functions.BURY, names, (encode_header(customer_id)[DIGEST], erased_id(customer_id).sha256))
