"""Caps on offers: what is counted for everybody is asked now and then, and answers are counted as they go out."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from models.counters import NO_COUNTERS, bucket_of, decision_moves
from models.errors import UnavailableError
from models.terms import Cap, CapScope
from service.decision.query import Customer, Query
from service.decision.slate import Choice
from service.decision.snapshot import Snapshot
from service.handlers.caller import Caller, Context
from service.handlers.snapshots import Snapshots
from service.store.cap_store import CapStore

_SHARE_OF_DEADLINE = 0.4
_INTERVAL = 1.0
_PATIENCE = 5.0


class Caps:
    """Knows what is counted for everybody in one shop, and counts decisions."""

    def __init__(
        self,
        store: CapStore,
        snapshots: Snapshots,
        tenant: str,
        timeout: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``timeout`` in seconds bounds the counting of an answer; ``now`` gives seconds since 1970."""
        self._store = store
        self._snapshots = snapshots
        self._tenant = tenant
        self._timeout = timeout
        self._now = now
        self._totals: Mapping[str, int] | None = None
        self._failing = False
        self._log = structlog.get_logger("dangol")

    async def follow(self) -> None:
        """Ask Redis for the totals for ever. Runs as a task."""
        while True:
            await self.refresh()
            await asyncio.sleep(_INTERVAL)

    async def refresh(self) -> None:
        """Ask for the totals of the periods that caps count by; without such caps Redis is not asked.

        A failure keeps the last ones; it does not raise.
        """
        periods = {cap.period for caps in self._snapshots.caps(self._tenant).values() for cap in caps if _is_total(cap)}
        buckets = [bucket_of(period, self._now()).name for period in periods]
        try:
            self._totals = await self._store.totals(self._tenant, buckets, _PATIENCE) if buckets else NO_COUNTERS
        except UnavailableError:
            if not self._failing:
                self._log.warning("what is counted for caps cannot be asked")
            self._failing = True
        else:
            self._failing = False

    def completed(self, snapshot: Snapshot, query: Query, *, is_lost: bool) -> Query:
        """Give the query with what is counted for everybody; ``is_lost`` leaves out what needs counting."""
        exhausted = (
            query.exhausted_offer_ids | snapshot.offers.decision_capped if is_lost else query.exhausted_offer_ids
        )
        return query._replace(totals=self._totals, exhausted_offer_ids=exhausted)

    async def count(
        self,
        caller: Caller,
        snapshot: Snapshot,
        query: Query,
        customer: Customer,
        slates: Sequence[Sequence[Choice]],
        context: Context,
    ) -> bool:
        """Count what an answer decides, where caps count decisions; False when that could not be done."""
        decided = [
            (asked.placement.placement, choice.offer.offer_id)
            for asked, choices in zip(query.slates, slates, strict=True)
            for choice in choices
            if choice.offer is not None and choice.offer.offer_id in snapshot.offers.decision_capped
        ]
        moves = decision_moves(decided, snapshot.offers.caps, query.channel, query.now)
        if not moves:
            return True
        budget = context.budget(self._timeout, _SHARE_OF_DEADLINE)
        try:
            await self._store.count(caller.tenant, customer.customer_id, moves, budget)
        except UnavailableError:
            return False
        return True


def without_uncounted(snapshot: Snapshot, query: Query, slates: Sequence[Sequence[Choice]]) -> Query:
    """Give the query that leaves out what needs counting; of offers with a budget only those in ``slates`` are held."""
    shown = {choice.offer.offer_id for choices in slates for choice in choices if choice.offer is not None}
    out = snapshot.offers.decision_capped | (snapshot.offers.budgets.keys() - shown)
    return query._replace(exhausted_offer_ids=query.exhausted_offer_ids | out)


def _is_total(cap: Cap) -> bool:
    return cap.scope is CapScope.TOTAL
