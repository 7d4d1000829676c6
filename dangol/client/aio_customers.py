"""The asyncio calls about customers."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from dangol.client.calls import AsyncCalls
from dangol.v1 import customer_service_pb2 as messages
from dangol.v1.customer_pb2 import Customer
from dangol.v1.customer_service_pb2_grpc import CustomerServiceStub

if TYPE_CHECKING:
    from dangol.v1.customer_service_pb2_grpc import CustomerServiceAsyncStub


class AsyncCustomerCalls(AsyncCalls):
    """Speaks to CustomerService. Every method may raise :class:`dangol.client.ClientError`."""

    @cached_property
    def _customers(self) -> "CustomerServiceAsyncStub":
        return CustomerServiceStub(self._channel)

    async def upsert_customers(self, customers: Iterable[Customer], *, timeout: float | None = None) -> int:
        """Store 1 to 1,000 customers, each in place of what had the same id, and give how many were stored.

        Erased ones are passed over.
        """
        request = messages.UpsertCustomersRequest(customers=customers)
        return (await self._write(self._customers.UpsertCustomers, request, timeout)).stored_count

    async def get_customer(
        self,
        customer_id: str,
        placements: Sequence[str] = (),
        *,
        channel: str = "",
        page_size: int = 0,
        timeout: float | None = None,
    ) -> messages.GetCustomerResponse:
        """Tell everything that is known of a customer, with ``page_size`` events and the slates of placements."""
        request = messages.GetCustomerRequest(
            customer_id=customer_id, placements=placements, channel=channel, page_size=page_size
        )
        return await self._read(self._customers.GetCustomer, request, timeout)

    async def link_identities(
        self, customer_id: str, alias_ids: Sequence[str], *, timeout: float | None = None
    ) -> list[str]:
        """Make up to 31 further ids one customer with an id, and give all ids of that customer."""
        request = messages.LinkIdentitiesRequest(customer_id=customer_id, alias_ids=alias_ids)
        return list((await self._write(self._customers.LinkIdentities, request, timeout)).identity_ids)

    async def unlink_identities(
        self, customer_id: str, alias_ids: Sequence[str] = (), *, timeout: float | None = None
    ) -> list[str]:
        """Take links of an id back, all unless some are named, and give the ids it is still one with, if any."""
        request = messages.UnlinkIdentitiesRequest(customer_id=customer_id, alias_ids=alias_ids)
        return list((await self._write(self._customers.UnlinkIdentities, request, timeout)).identity_ids)

    async def erase_customer(self, customer_id: str, *, timeout: float | None = None) -> messages.EraseCustomerResponse:
        """Erase a customer with all of their ids, and give the receipt."""
        request = messages.EraseCustomerRequest(customer_id=customer_id)
        return await self._write(self._customers.EraseCustomer, request, timeout)
