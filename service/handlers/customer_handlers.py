"""CustomerService: what is known of customers, told by the shop and shown to whoever serves them."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from dangol.v1 import customer_service_pb2 as messages
from models.customers import MAXIMAL_IDENTITIES
from models.errors import InvalidInputError, UnavailableError
from service.handlers.caller import Caller, Context
from service.handlers.customer_messages import customers_from
from service.handlers.customer_reads import CustomerReads
from service.handlers.customer_views import CustomerViews
from service.handlers.erasing import Erasing
from service.handlers.snapshots import Snapshots
from service.handlers.validation import check, check_distinct, check_ids, id_problem
from service.store.customer_store import CustomerStore
from service.store.link_store import LinkStore

_POLLS_UNTIL_ALL_KNOW = 3


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CustomerHandlers:
    """Answers CustomerService."""

    def __init__(
        self,
        store: CustomerStore,
        links: LinkStore,
        snapshots: Snapshots,
        reads: CustomerReads,
        views: CustomerViews,
        erasing: Erasing,
        write_timeout: float,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """``write_timeout`` in seconds bounds a change whatever the deadline of the call."""
        self._store = store
        self._links = links
        self._snapshots = snapshots
        self._reads = reads
        self._views = views
        self._erasing = erasing
        self._write_timeout = write_timeout
        self._now = now

    async def upsert_customers(
        self, caller: Caller, request: messages.UpsertCustomersRequest, context: Context
    ) -> messages.UpsertCustomersResponse:
        """Store customers; each replaces what was stored of the same id."""
        records = customers_from(request.customers, self._now())
        context.facts["customers"] = len(records)
        await self._begin(caller, context)
        stored = await self._store.store(caller.tenant, records, context.budget(self._write_timeout, 0.9))
        return messages.UpsertCustomersResponse(stored_count=stored, erased_count=len(records) - stored)

    async def get_customer(
        self, caller: Caller, request: messages.GetCustomerRequest, context: Context
    ) -> messages.GetCustomerResponse:
        """Tell everything that is known of one customer; UnavailableError when Redis cannot be read."""
        return await self._views.view(caller, request, context)

    async def link_identities(
        self, caller: Caller, request: messages.LinkIdentitiesRequest, context: Context
    ) -> messages.LinkIdentitiesResponse:
        """Make several ids one customer. PreconditionError when they would be too many, or one was erased."""
        _check_identities(request.customer_id, request.alias_ids, 1)
        await self._erasing.check(caller, [request.customer_id, *request.alias_ids], context)
        await self._begin(caller, context)
        names = await self._links.link(
            caller.tenant, request.customer_id, request.alias_ids, context.budget(self._write_timeout, 0.9)
        )
        return messages.LinkIdentitiesResponse(identity_ids=names)

    async def erase_customer(
        self, caller: Caller, request: messages.EraseCustomerRequest, context: Context
    ) -> messages.EraseCustomerResponse:
        """Erase a customer with all of their ids."""
        check("customer_id", id_problem(request.customer_id))
        context.customer_id = request.customer_id
        erasure = await self._erasing.erase(caller, request.customer_id, self._now(), context)
        context.facts["receipt_id"] = erasure.receipt_id
        response = messages.EraseCustomerResponse(receipt_id=erasure.receipt_id, identity_count=len(erasure.ids))
        response.erase_time.FromDatetime(erasure.erase_time)
        return response

    async def unlink_identities(
        self, caller: Caller, request: messages.UnlinkIdentitiesRequest, context: Context
    ) -> messages.UnlinkIdentitiesResponse:
        """Take links back."""
        _check_identities(request.customer_id, request.alias_ids, 0)
        names = await self._links.unlink(
            caller.tenant, request.customer_id, request.alias_ids, context.budget(self._write_timeout, 0.9)
        )
        return messages.UnlinkIdentitiesResponse(identity_ids=names)

    async def _begin(self, caller: Caller, context: Context) -> None:
        """Let every server process know that there are records before the first one is stored.

        They learn it when they next look for news, and from then on read records with every customer. That takes the
        very first call some time, once in the life of a shop.
        """
        if self._reads.is_open:
            raise UnavailableError("Redis cannot be used now")
        if self._snapshots.keeps_records:
            return
        await self._store.begin(caller.tenant, context.budget(self._write_timeout, 0.4))
        await asyncio.sleep(context.budget(_POLLS_UNTIL_ALL_KNOW * self._snapshots.poll_interval))
        await self._snapshots.refresh()


def _check_identities(customer_id: str, alias_ids: Sequence[str], minimum: int) -> None:
    check("customer_id", id_problem(customer_id))
    check_ids("alias_ids", alias_ids, minimum, MAXIMAL_IDENTITIES - 1)
    check_distinct("alias_ids", alias_ids)
    if customer_id in alias_ids:
        raise InvalidInputError(f"alias_ids[{list(alias_ids).index(customer_id)}]", "is the customer_id itself")
