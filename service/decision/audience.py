"""Whom to tell of an offer or an item: the same rules as for slates, asked the other way round."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.offers import Placement, Rebuys
from service.decision.candidate_stream import Ranked
from service.decision.explanation import Explainer
from service.decision.history import History, read_history, unwelcome_slots
from service.decision.indexed_offer import IndexedOffer
from service.decision.query import Customer, Query
from service.decision.reasons import Reason
from service.decision.snapshot import Snapshot
from service.decision.terms import TermsCheck, TraceRule


class Suited(NamedTuple):
    """Is what suits a customer: the best item that may be shown to them, its score, and why."""

    item_id: str
    score: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class AudienceQuery:
    """Says what customers are wanted for: an offer, or without one an item. The rules are those of the placement.

    ``audience_ids`` (empty for everybody) name whose members are wanted, ``excluded_audience_ids`` whose are not;
    ``consent_category``, empty for none, must be granted besides that of the offer.
    """

    placement: Placement
    rebuys: Rebuys
    indexed: IndexedOffer | None = None
    item_id: str = ""
    audience_ids: tuple[str, ...] = ()
    excluded_audience_ids: tuple[str, ...] = ()
    consent_category: str = ""


class AudienceDecision:
    """Judges customers, one after another, from one snapshot."""

    def __init__(self, snapshot: Snapshot, asked: AudienceQuery) -> None:
        self._snapshot = snapshot
        self._asked = asked
        self.rows = _rows_of(snapshot, asked)
        self._is_asked = np.zeros(snapshot.slots.row_count, dtype=np.bool_)
        self._is_asked[self.rows] = True

    def judge(self, query: Query, customer: Customer) -> Suited | TraceRule:
        """Give what suits a customer, or the first rule that leaves them out. ``query`` holds what is known of them."""
        history = read_history(customer.profile, self._snapshot.slots)
        terms = TermsCheck(self._snapshot, query, customer, history)
        rule = self._rule_against(query, customer, terms)
        if rule is not None:
            return rule
        found = self._first_showable(customer, history, terms)
        if isinstance(found, TraceRule):
            return found
        explainer = Explainer(self._snapshot, customer, history, (), query.segment)
        reasons = explainer.every(found) if query.explain else explainer.first(found)
        return Suited(self._snapshot.slots.ids[found[0]], found[1], reasons)

    def _rule_against(self, query: Query, customer: Customer, terms: TermsCheck) -> TraceRule | None:
        """Give the first rule about the whole of the customer that leaves them out."""
        asked = self._asked
        if asked.audience_ids and not any(self._is_member(customer, name) for name in asked.audience_ids):
            return TraceRule.AUDIENCE
        if any(self._is_member(customer, name) for name in asked.excluded_audience_ids):
            return TraceRule.EXCLUDED
        if asked.consent_category and asked.consent_category not in query.consent_categories:
            return TraceRule.CONSENT
        zone = timezone(timedelta(seconds=query.utc_offset))
        if asked.placement.quiet_hours.hold(query.channel, query.now, zone):
            return TraceRule.QUIET_HOURS
        if asked.indexed is None:
            return None
        return terms.rule_against(asked.indexed.offer.offer_id, asked.placement.placement)

    def _is_member(self, customer: Customer, audience_id: str) -> bool:
        return customer.is_among(self._snapshot.catalog.audiences[audience_id].customer_ids)

    def _first_showable(self, customer: Customer, history: History, terms: TermsCheck) -> Ranked | TraceRule:
        """Give the best candidate in question that may be shown, or what is against the last of them."""
        unwelcome = unwelcome_slots(
            self._asked.rebuys, customer.candidates, history, self._snapshot.model.trained_until
        )
        indexed, rule = self._asked.indexed, TraceRule.ITEMS
        for ranked in self._asked_among(customer):
            if ranked[0] in history.dismissed_slots:
                rule = TraceRule.DISMISSED
            elif ranked[0] in unwelcome:
                rule = TraceRule.BOUGHT
            elif indexed is not None and not terms.fits(indexed, ranked[0]):
                rule = TraceRule.ELIGIBILITY
            else:
                return ranked
        return rule

    def _asked_among(self, customer: Customer) -> Iterator[Ranked]:
        own = customer.candidates
        if own is None:
            return
        rows = own.candidates["row"]
        known = rows < len(self._is_asked)
        for place in np.flatnonzero(self._is_asked[np.where(known, rows, 0)] & known).tolist():
            yield own.candidates[place].item()


def _rows_of(snapshot: Snapshot, asked: AudienceQuery) -> NDArray[np.uint32]:
    """Give the rows (n,) of all items in question that the shop has and the model knows, ascending."""
    if asked.indexed is None:
        slots = snapshot.slots.find_all([asked.item_id])
    else:
        offer, facts = asked.indexed.offer, snapshot.offers.facts
        slots = set(facts.not_refuted(asked.indexed.condition, asked.indexed.item_slots).tolist())
        if offer.item_filter is not None:
            slots.update(facts.every_covered(offer.item_filter, asked.indexed.condition))
    rows = sorted(slot for slot in slots if slot < snapshot.slots.row_count and snapshot.shows(slot))
    return np.array(rows, dtype=np.uint32)
