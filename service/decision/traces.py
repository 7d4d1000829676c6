"""What became of offers that somebody asks about: where each stands, or what kept it out."""

from collections.abc import Sequence
from typing import NamedTuple

from service.decision.indexed_offer import IndexedOffer
from service.decision.query import Customer, Query
from service.decision.slate import Choice, Decision, Decisions
from service.decision.snapshot import Snapshot
from service.decision.terms import TraceRule

_LONG = 1000
"""How long a slate is assumed, to see where an offer would stand."""


class Trace(NamedTuple):
    """Is what became of one offer: its rank from 1, else 0, the rule, and the rank it would reach in a long slate."""

    offer_id: str
    rank: int = 0
    rule: TraceRule | None = None
    reached_rank: int = 0


def trace_offers(
    snapshot: Snapshot, query: Query, customer: Customer, answered: Sequence[Sequence[Choice]]
) -> list[list[Trace]]:
    """Tell for each slate of an answer what became of each of the query's ``trace_offer_ids``.

    The answer is decided once more, slate by slate, so that what is told is what really decides.
    """
    decisions = Decisions(snapshot, query, customer)
    traces = []
    for place, choices in enumerate(answered):
        slate = query.slates[place]
        longer = Decisions(snapshot, query, customer)
        for earlier in query.slates[:place]:
            longer.fill(earlier)
        under = snapshot.under(slate.model_version)
        tracer = _Tracer(under, query, place, choices, decisions.of(slate), longer)
        traces.append([tracer.trace(offer_id) for offer_id in query.trace_offer_ids])
        decisions.fill(slate)
    return traces


class _Tracer:
    """Tells what became of offers in one slate; ``decision`` is at the state before it."""

    def __init__(
        self,
        snapshot: Snapshot,
        query: Query,
        place: int,
        choices: Sequence[Choice],
        decision: Decision,
        longer: Decisions,
    ) -> None:
        self._snapshot = snapshot
        self._slate = query.slates[place]
        self._ranks = _ranks(choices)
        self._decision = decision
        self._long = longer.fill(self._slate._replace(size=_LONG))
        self._long_ranks = _ranks(self._long)

    def trace(self, offer_id: str) -> Trace:
        """Tell what became of one offer."""
        if offer_id in self._ranks:
            return Trace(offer_id, rank=self._ranks[offer_id])
        rule = self._decision.terms.rule_against(offer_id, self._slate.placement.placement)
        indexed = self._snapshot.offers.get(offer_id)
        if rule is not None or indexed is None:
            return Trace(offer_id, rule=rule or TraceRule.VALIDITY)
        if indexed.offer.fallback:
            return Trace(offer_id, rule=TraceRule.FALLBACK)
        treatment = self._slate.treatment
        if treatment is not None and treatment.holdout:
            return Trace(offer_id, rule=TraceRule.HOLDOUT)
        if offer_id in self._long_ranks:
            return Trace(offer_id, rule=TraceRule.OUTRANKED, reached_rank=self._long_ranks[offer_id])
        return Trace(offer_id, rule=self._rule_of_items(indexed))

    def _rule_of_items(self, indexed: IndexedOffer) -> TraceRule:
        slots = indexed.reached_slots.tolist()
        if indexed.condition is not None and not any(self._decision.terms.fits(indexed, slot) for slot in slots):
            return TraceRule.ELIGIBILITY
        ids = {self._snapshot.slots.ids[slot] for slot in slots}
        if any(choice.item_id in ids and choice.offer is not None for choice in self._long):
            return TraceRule.OTHER_OFFER
        policy = self._slate.placement.policy
        blocked = self._decision.unwelcome(self._slate.placement.rebuys)
        free = any(self._decision.is_free(slot, blocked) for slot in slots)
        return TraceRule.CATEGORY_LIMIT if policy.maximal_per_category and free else TraceRule.ITEMS


def _ranks(choices: Sequence[Choice]) -> dict[str, int]:
    return {choice.offer.offer_id: rank for rank, choice in enumerate(choices, start=1) if choice.offer is not None}
