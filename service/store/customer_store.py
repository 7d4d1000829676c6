"""What a shop stores of its customers, one value each, in the shard of the customer."""

import asyncio
from collections.abc import Sequence

from models.customers import CustomerRecord
from service.store import functions, keys
from service.store.connection import AsyncConnection
from service.store.customer_record_codec import encode_header, encode_record
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall
from service.store.keys import MetaKeys


class CustomerStore:
    """Stores customers; :class:`service.store.customer_reader.CustomerReader` reads them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._client = connection.client

    async def begin(self, tenant: str, timeout: float) -> bool:
        """Say that this shop keeps records of customers, and tell whether that is news. UnavailableError.

        Server processes look for records only after they have read it.
        """
        with reaching_redis():
            async with asyncio.timeout(timeout):
                return bool(await self._client.execute_command("SETNX", MetaKeys(tenant).customers, "1"))

    async def store(self, tenant: str, records: Sequence[CustomerRecord], timeout: float) -> int:
        """Store records, each in place of what was stored of the customer; erased ones are passed over.

        Gives how many were stored. UnavailableError when not all were within ``timeout`` seconds; the same again is
        safe.
        """
        with reaching_redis():
            async with asyncio.timeout(timeout):
                return sum([await functions.call(self._connection, call) for call in store_calls(tenant, records)])


def store_calls(tenant: str, records: Sequence[CustomerRecord]) -> list[FunctionCall]:
    """Make one call for each shard that the records touch."""
    by_shard: dict[int, list[CustomerRecord]] = {}
    for record in records:
        by_shard.setdefault(keys.shard_of(record.customer_id), []).append(record)
    return [_store_call(tenant, shard_records) for shard_records in by_shard.values()]


def _store_call(tenant: str, records: Sequence[CustomerRecord]) -> FunctionCall:
    tombstones = keys.erased_key(tenant, keys.shard_of(records[0].customer_id))
    names = tuple(keys.record_key(tenant, record.customer_id) for record in records)
    arguments = [part for record in records for part in (encode_header(record.customer_id), encode_record(record))]
    return FunctionCall(functions.STORE_CUSTOMERS, (tombstones, *names), tuple(arguments))
