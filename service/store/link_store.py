"""Which ids are one customer: links under one key, and what follows from them under each of the ids.

Links change in one step, whose version says which of two consequences is newer. What follows is then written to each
id's own shard; whoever dies between the two finishes it by doing the same again.
"""

import asyncio
from collections.abc import Sequence

from models.customers import MAXIMAL_IDENTITIES
from models.errors import PreconditionError
from service.store import customer_record_codec, functions, keys
from service.store.connection import AsyncConnection
from service.store.customer_record_codec import encode_header, encode_names
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall
from service.store.keys import MetaKeys

Names = tuple[str, ...]


class LinkStore:
    """Links ids, and takes links back. UnavailableError when that was not done in time; the same again is safe."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._client = connection.client

    async def link(self, tenant: str, customer_id: str, alias_ids: Sequence[str], timeout: float) -> Names:
        """Say that aliases are the customer too, and give all ids of the customer, in order.

        PreconditionError when they would be more than MAXIMAL_IDENTITIES; nothing is linked then.
        """
        call = _change(tenant, functions.LINK_CUSTOMERS, MAXIMAL_IDENTITIES, customer_id, *alias_ids)
        with reaching_redis():
            async with asyncio.timeout(timeout):
                answer = await functions.ask(self._connection, call)
                if not answer:
                    raise PreconditionError(f"the customer would have more than {MAXIMAL_IDENTITIES} ids")
                version, joined = answer
                names = _names(joined)
                await self._name(tenant, version, names)
        return names

    async def unlink(self, tenant: str, customer_id: str, alias_ids: Sequence[str], timeout: float) -> Names:
        """Take links of an id back, all when no alias is named, and give the ids that it is still one with, in order.

        Nothing is given when it is alone.
        """
        with reaching_redis():
            async with asyncio.timeout(timeout):
                # Who died before every id was told left the links gone and names behind: those are told again.
                others = alias_ids or await self._names(tenant, customer_id)
                takes_all = 0 if alias_ids else 1
                call = _change(tenant, functions.UNLINK_CUSTOMERS, takes_all, customer_id, *others)
                version, *groups = await functions.ask(self._connection, call)
                together = list(dict.fromkeys(map(_names, groups)))
                for names in reversed(together):
                    await self._name(tenant, version, names)
        return together[0] if len(together[0]) > 1 else ()

    async def joined(self, tenant: str, customer_id: str, timeout: float) -> Names:
        """Give all ids of a customer, in order; the one that is asked for among them. UnavailableError."""
        with reaching_redis():
            async with asyncio.timeout(timeout):
                call = _change(tenant, functions.LINK_CUSTOMERS, MAXIMAL_IDENTITIES, customer_id)
                _, joined = await functions.ask(self._connection, call)
        return _names(joined)

    async def first_ids(self, tenant: str, customer_ids: Sequence[str], timeout: float) -> dict[str, str]:
        """Give for each id the first id of the same customer, in the order of their bytes. UnavailableError."""
        with reaching_redis():
            async with asyncio.timeout(timeout):
                names = await asyncio.gather(*(self._names(tenant, customer_id) for customer_id in customer_ids))
        return {
            customer_id: min((customer_id, *others)) for customer_id, others in zip(customer_ids, names, strict=True)
        }

    async def _names(self, tenant: str, customer_id: str) -> Names:
        value = await self._client.execute_command("GET", keys.record_key(tenant, customer_id))
        names = () if value is None else customer_record_codec.decode(customer_id, value).identity_ids
        return tuple(name for name in names if name != customer_id)

    async def _name(self, tenant: str, version: int, names: Names) -> None:
        """Write under each id which ids are the same customer."""
        written = encode_names(names) if len(names) > 1 else b""
        for name in names:
            places = keys.record_key(tenant, name), keys.erased_key(tenant, keys.shard_of(name))
            call = FunctionCall(functions.NAME_CUSTOMER, places, (encode_header(name), version, written))
            await functions.call(self._connection, call)


def _change(tenant: str, function: str, *arguments: str | int) -> FunctionCall:
    meta = MetaKeys(tenant)
    return FunctionCall(function, (meta.links, meta.links_version), arguments)


def _names(ids: Sequence[bytes]) -> Names:
    return tuple(sorted(id_.decode() for id_ in ids))
