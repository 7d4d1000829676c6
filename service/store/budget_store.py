"""Budgets of offers in Redis: units that are kept for customers for a while, and units that were redeemed.

Reserving and redeeming are functions inside Redis, so that any number of server processes together never keep or
redeem one unit too many.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from models.events import REDEEM, Event
from models.terms import Budget
from service.store import functions
from service.store.connection import AsyncConnection, SyncConnection
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall
from service.store.keys import MetaKeys

MAXIMAL_OFFERS = 48
"""How many budgets one call asks: its answer is a number with one bit for each, and Lua's are exact up to 2^53."""


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Counts the units of a budget that are kept for customers now (or were until lately), and those redeemed."""

    reserved: int
    redeemed: int


class BudgetStore:
    """Keeps and redeems units of budgets."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._client = connection.client

    async def reserve(
        self, tenant: str, customer_id: str, budgets: Mapping[str, Budget], timeout: float
    ) -> frozenset[str]:
        """Keep a unit of each budget for a customer, and give the offers of which they hold one.

        UnavailableError when Redis did not say so within ``timeout`` seconds; what was kept then is free again when
        its time ends.
        """
        held: set[str] = set()
        with reaching_redis():
            async with asyncio.timeout(timeout):
                for offers in _parts(list(budgets)):
                    call = reserve_call(tenant, customer_id, {offer_id: budgets[offer_id] for offer_id in offers})
                    held |= held_offers(offers, await functions.call(self._connection, call))
        return frozenset(held)

    async def redeem(self, tenant: str, redemptions: Sequence[Event], timeout: float) -> int:
        """Count redemptions, once per event id, and give how many were new. UnavailableError; repeat it safely."""
        if not redemptions:
            return 0
        with reaching_redis():
            async with asyncio.timeout(timeout):
                return await functions.call(self._connection, redeem_call(tenant, redemptions))

    async def release(self, tenant: str, offer_ids: Iterable[str], customer_ids: Sequence[str], timeout: float) -> None:
        """Take back every unit that customers hold of these offers' budgets. UnavailableError."""
        with reaching_redis():
            async with asyncio.timeout(timeout):
                for offer_id in offer_ids:
                    name = MetaKeys(tenant).reservations(offer_id)
                    await self._client.execute_command("ZREM", name, *customer_ids)

    async def forget(self, tenant: str, offer_ids: Sequence[str], timeout: float) -> None:
        """Forget all units of budgets whose offers are gone. UnavailableError."""
        meta = MetaKeys(tenant)
        names = [name for offer_id in offer_ids for name in (meta.reservations(offer_id), meta.redemptions(offer_id))]
        with reaching_redis():
            async with asyncio.timeout(timeout):
                await self._client.execute_command("UNLINK", *names)

    async def state(self, tenant: str, offer_id: str) -> BudgetState:
        """Count the units of a budget. UnavailableError."""
        meta = MetaKeys(tenant)
        with reaching_redis():
            reserved = await self._client.execute_command("ZCARD", meta.reservations(offer_id))
            redeemed = await self._client.execute_command("SCARD", meta.redemptions(offer_id))
        return BudgetState(int(reserved), int(redeemed))


def redeem_blocking(connection: SyncConnection, tenant: str, redemptions: Sequence[Event]) -> int:
    """Count redemptions as :meth:`BudgetStore.redeem` does, blocking."""
    if not redemptions:
        return 0
    with reaching_redis():
        return functions.call_blocking(connection, redeem_call(tenant, redemptions))


def redemptions_among(events: Iterable[Event], budgeted: Mapping[str, object]) -> list[Event]:
    """Give the events that redeem an offer which has a budget."""
    return [event for event in events if event.event_type == REDEEM and event.offer_id in budgeted]


def reserve_call(tenant: str, customer_id: str, budgets: Mapping[str, Budget]) -> FunctionCall:
    """Make the call that keeps a unit of each budget, at most MAXIMAL_OFFERS, for a customer."""
    meta = MetaKeys(tenant)
    names: list[str] = []
    arguments: list[str | int] = [customer_id]
    for offer_id, budget in budgets.items():
        names += (meta.reservations(offer_id), meta.redemptions(offer_id))
        arguments += (budget.units, budget.reservation_seconds)
    return FunctionCall(functions.RESERVE_UNITS, tuple(names), tuple(arguments))


def held_offers(offer_ids: Sequence[str], bits: int) -> set[str]:
    """Read the answer to :func:`reserve_call`."""
    return {offer_id for place, offer_id in enumerate(offer_ids) if bits >> place & 1}


def redeem_call(tenant: str, redemptions: Sequence[Event]) -> FunctionCall:
    """Make the call that counts redemptions."""
    meta = MetaKeys(tenant)
    names: list[str] = []
    arguments: list[str] = []
    for event in redemptions:
        names += (meta.reservations(event.offer_id), meta.redemptions(event.offer_id))
        arguments += (event.customer_id, event.event_id)
    return FunctionCall(functions.REDEEM_UNITS, tuple(names), tuple(arguments))


def _parts(offer_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (offer_ids[start : start + MAXIMAL_OFFERS] for start in range(0, len(offer_ids), MAXIMAL_OFFERS))
