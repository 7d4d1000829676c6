"""Decisions that keep hard budgets: what is answered holds a unit, what has none left gives way to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from models.errors import UnavailableError
from models.events import Event
from models.terms import Budget
from service.decision.query import Customer, Query
from service.decision.slate import Choice, decide
from service.decision.snapshot import Snapshot
from service.handlers.caller import Caller, Context
from service.handlers.snapshots import Snapshots
from service.store.budget_store import BudgetStore, redemptions_among
from service.store.link_store import LinkStore

_SHARE_OF_DEADLINE = 0.4
_ROUNDS = 8  # of asking for replacements; after that only what is held already is shown


class Reservations:
    """Decides with budgets. Where no offer of an answer has one, Redis is not asked."""

    def __init__(
        self, store: BudgetStore, links: LinkStore, snapshots: Snapshots, timeout: float, write_timeout: float
    ) -> None:
        """``timeout`` bounds each reservation, ``write_timeout`` what counts redemptions, in seconds."""
        self._store = store
        self._links = links
        self._snapshots = snapshots
        self._timeout = timeout
        self._write_timeout = write_timeout

    async def decide(
        self, caller: Caller, snapshot: Snapshot, query: Query, customer: Customer, context: Context, *, is_lost: bool
    ) -> tuple[list[list[Choice]], Query, bool]:
        """Give the slates, the query that they answer, and whether all budgets could be asked.

        ``is_lost`` says that Redis cannot be asked; offers with budgets are left out then.
        """
        budgets = snapshot.offers.budgets
        if not budgets:
            return decide(snapshot, query, customer), query, True
        if is_lost:
            query = query._replace(exhausted_offer_ids=query.exhausted_offer_ids | budgets.keys())
            return decide(snapshot, query, customer), query, False
        held: frozenset[str] = frozenset()
        for _ in range(_ROUNDS):
            slates = decide(snapshot, query, customer)
            wanted = {offer_id: budgets[offer_id] for offer_id in _offers_of(slates) if offer_id in budgets}
            asked = {offer_id: budget for offer_id, budget in wanted.items() if offer_id not in held}
            if not asked:
                return slates, query, True
            try:
                held |= await self._reserve(caller, customer, asked, context)
            except UnavailableError:
                query = query._replace(exhausted_offer_ids=frozenset(budgets.keys() - held))
                return decide(snapshot, query, customer), query, False
            query = query._replace(exhausted_offer_ids=query.exhausted_offer_ids | (asked.keys() - held))
        query = query._replace(exhausted_offer_ids=frozenset(budgets.keys() - held))
        return decide(snapshot, query, customer), query, True

    async def hold(self, caller: Caller, customer: Customer, offer_id: str, context: Context) -> bool:
        """Hold a unit of an offer for a customer; True also for one without a budget. UnavailableError."""
        budget = self._snapshots.budgets(caller.tenant).get(offer_id)
        if budget is None:
            return True
        return offer_id in await self._reserve(caller, customer, {offer_id: budget}, context)

    async def redeem(self, caller: Caller, events: Sequence[Event], context: Context) -> None:
        """Count those events that redeem a unit of a budget, once per event id. UnavailableError; repeat it safely."""
        redemptions = redemptions_among(events, self._snapshots.budgets(caller.tenant))
        if redemptions and self._snapshots.keeps_records:
            # A unit is reserved for the customer and not for one of their ids.
            asked = list({event.customer_id: None for event in redemptions})
            first = await self._links.first_ids(caller.tenant, asked, context.budget(self._write_timeout, 0.5))
            redemptions = [replace(event, customer_id=first[event.customer_id]) for event in redemptions]
        if redemptions:
            await self._store.redeem(caller.tenant, redemptions, context.budget(self._write_timeout, 0.9))

    async def _reserve(
        self, caller: Caller, customer: Customer, asked: Mapping[str, Budget], context: Context
    ) -> frozenset[str]:
        budget = context.budget(self._timeout, _SHARE_OF_DEADLINE)
        return await self._store.reserve(caller.tenant, customer.customer_id, asked, budget)


def _offers_of(slates: list[list[Choice]]) -> dict[str, None]:
    return {choice.offer.offer_id: None for choices in slates for choice in choices if choice.offer is not None}
