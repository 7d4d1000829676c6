"""The blocking calls about customers."""

from collections.abc import Iterable, Sequence
from functools import cached_property

from dangol.client.calls import Calls
from dangol.v1 import customer_service_pb2 as messages
from dangol.v1.customer_pb2 import Customer
from dangol.v1.customer_service_pb2_grpc import CustomerServiceStub


class CustomerCalls(Calls):
    """Speaks to CustomerService. Every method may raise :class:`dangol.client.ClientError`."""

    @cached_property
    def _customers(self) -> CustomerServiceStub:
        return CustomerServiceStub(self._channel)

    def upsert_customers(self, customers: Iterable[Customer], *, timeout: float | None = None) -> int:
        """Store 1 to 1,000 customers, each in place of what had the same id, and give how many were stored.

        Erased ones are passed over.
        """
        request = messages.UpsertCustomersRequest(customers=customers)
        return self._write(self._customers.UpsertCustomers, request, timeout).stored_count

    def get_customer(
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
        return self._read(self._customers.GetCustomer, request, timeout)

    def link_identities(self, customer_id: str, alias_ids: Sequence[str], *, timeout: float | None = None) -> list[str]:
        """Make up to 31 further ids one customer with an id, and give all ids of that customer."""
        request = messages.LinkIdentitiesRequest(customer_id=customer_id, alias_ids=alias_ids)
        return list(self._write(self._customers.LinkIdentities, request, timeout).identity_ids)

    def unlink_identities(
        self, customer_id: str, alias_ids: Sequence[str] = (), *, timeout: float | None = None
    ) -> list[str]:
        """Take links of an id back, all unless some are named, and give the ids it is still one with, if any."""
        request = messages.UnlinkIdentitiesRequest(customer_id=customer_id, alias_ids=alias_ids)
        return list(self._write(self._customers.UnlinkIdentities, request, timeout).identity_ids)

    def erase_customer(self, customer_id: str, *, timeout: float | None = None) -> messages.EraseCustomerResponse:
        """Erase a customer with all of their ids, and give the receipt."""
        request = messages.EraseCustomerRequest(customer_id=customer_id)
        return self._write(self._customers.EraseCustomer, request, timeout)
