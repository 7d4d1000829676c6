"""Whether an offer's terms let it be shown to this customer, here and now, and which of them does not."""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from models.counters import bucket_of, counter_name
from models.offers import OfferStatus
from models.terms import CapPeriod, CapScope
from service.decision.asked_facts import AskedFacts
from service.decision.conditions import Condition
from service.decision.history import History
from service.decision.indexed_offer import IndexedOffer
from service.decision.pairing import Pairing
from service.decision.query import Customer, Query
from service.decision.snapshot import Snapshot


class TraceRule(IntEnum):
    """Names why an offer is not in a slate. The numbers are those of ``dangol.v1.TraceRule``; a test holds them so."""

    UNKNOWN = 1
    STATUS = 2
    VALIDITY = 3
    WEEKLY_HOURS = 4
    PLACEMENT = 5
    CHANNEL = 6
    AUDIENCE = 7
    CONSENT = 8
    EXCLUDED = 9
    DISMISSED = 10
    COOLDOWN = 11
    OTHER_PLACEMENT = 12
    FALLBACK = 13
    ITEMS = 14
    OTHER_OFFER = 15
    OUTRANKED = 16
    CATEGORY_LIMIT = 17
    BUDGET = 18
    HOLDOUT = 19
    CAP = 20
    ELIGIBILITY = 21
    QUIET_HOURS = 22
    BOUGHT = 23


_NO_ITEM = -1


def barred_offers(query: Query, history: History) -> set[str]:
    """Give the offers that are out before an answer shows any."""
    return history.dismissed_offer_ids.union(query.excluded_offer_ids, query.exhausted_offer_ids)


class TermsCheck:
    """Checks offers for one answer. ``barred`` offers are out: dismissed, excluded, or used up by the answer."""

    def __init__(self, snapshot: Snapshot, query: Query, customer: Customer, history: History) -> None:
        self._snapshot = snapshot
        self._query = query
        self._customer = customer
        self._history = history
        self._now = query.now
        self._channel = query.channel
        self.barred = barred_offers(query, history)
        self._membership: dict[str, bool] = {}
        self._placement = ""
        self._minute: int | None = None
        self._buckets: dict[CapPeriod, str] = {}
        self._facts = AskedFacts(snapshot, query, customer, history)
        # By placement, as what a condition may look at is the same but for that.
        self._verdicts: dict[str, dict[tuple[Condition, int], bool | None]] = {}
        self._here: dict[tuple[Condition, int], bool | None] = {}

    def begin(self, placement: str) -> None:
        """Say at which placement offers are to be shown from now on."""
        self._placement = placement
        self._here = self._verdicts.setdefault(placement, {})

    def use(self, offer_id: str) -> None:
        """Say that the answer shows an offer, so that it does not show it again."""
        self.barred.add(offer_id)

    def lets(self, indexed: IndexedOffer) -> bool:
        """Tell whether an offer may be shown where it is admitted; the same as having no rule against it, but fast."""
        return (
            indexed.start <= self._now < indexed.end
            and indexed.offer.offer_id not in self.barred
            and (indexed.is_open or any(map(self._belongs_to, indexed.offer.audience_ids)))
            and (not indexed.is_special or self._special_rule(indexed) is None)
        )

    def suits(self, indexed: IndexedOffer, slot: int) -> bool:
        """Tell whether an offer that a view gives, and that is not barred, may be shown on an item of the view."""
        return (
            (indexed.is_open or any(map(self._belongs_to, indexed.offer.audience_ids)))
            and (not indexed.is_special or self._special_rule(indexed) is None)
            and (not indexed.mixed or self.fits(indexed, slot))
        )

    def first_of(self, pairings: Iterable[Pairing], slot: int) -> Pairing | None:
        """Give the first of the pairings of an item that may be shown; None when none may."""
        barred, suits = self.barred, self.suits
        for pairing in pairings:
            indexed = pairing.indexed
            if indexed is None or (pairing.offer_id not in barred and suits(indexed, slot)):
                return pairing
        return None

    def fits(self, indexed: IndexedOffer, slot: int) -> bool:
        """Tell whether the condition of an offer that these terms let be shown holds on an item.

        The item must be one of those that the index names for it: what an item alone rules out is asked there.
        """
        return all(self._verdict(part, slot) is True for part in indexed.mixed)

    def rule_against(self, offer_id: str, placement: str) -> TraceRule | None:
        """Give the first of its terms that keeps an offer out, None when it may be shown."""
        self.begin(placement)
        offer = self._snapshot.catalog.offers.get(offer_id)
        if offer is None:
            return TraceRule.UNKNOWN
        if offer.status is not OfferStatus.LIVE:
            return TraceRule.STATUS
        indexed = self._snapshot.offers.get(offer_id)
        if indexed is None or not indexed.start <= self._now < indexed.end:
            return TraceRule.VALIDITY
        return self._rule_of_place(indexed, placement) or self._special_rule(indexed) or self._rule_of_customer(indexed)

    def _rule_of_place(self, indexed: IndexedOffer, placement: str) -> TraceRule | None:
        if indexed.placements and placement not in indexed.placements:
            return TraceRule.PLACEMENT
        if self._channel and indexed.channels and self._channel not in indexed.channels:
            return TraceRule.CHANNEL
        return None

    def _rule_of_customer(self, indexed: IndexedOffer) -> TraceRule | None:
        offer = indexed.offer
        if offer.audience_ids and not any(map(self._belongs_to, offer.audience_ids)):
            return TraceRule.AUDIENCE
        if offer.offer_id in self._query.excluded_offer_ids:
            return TraceRule.EXCLUDED
        if offer.offer_id in self._history.dismissed_offer_ids:
            return TraceRule.DISMISSED
        if offer.offer_id in self._query.exhausted_offer_ids:
            return TraceRule.BUDGET if offer.budget is not None else TraceRule.CAP
        return TraceRule.OTHER_PLACEMENT if offer.offer_id in self.barred else None

    def _special_rule(self, indexed: IndexedOffer) -> TraceRule | None:
        if indexed.hours and not self._is_within(indexed.hours):
            return TraceRule.WEEKLY_HOURS
        if indexed.consent_category and indexed.consent_category not in self._query.consent_categories:
            return TraceRule.CONSENT
        if indexed.cooldown_key is not None:
            last = self._history.offer_times.get(indexed.cooldown_key)
            if last is not None and self._now < last.timestamp() + indexed.cooldown_seconds:
                return TraceRule.COOLDOWN
        if indexed.caps and self._is_capped(indexed):
            return TraceRule.CAP
        return TraceRule.ELIGIBILITY if indexed.condition is not None and self._refutes(indexed) else None

    def _refutes(self, indexed: IndexedOffer) -> bool:
        """Tell whether the condition cannot hold for this customer at this placement, on whatever item."""
        for part in indexed.asked:
            if self._verdict(part) is not True:
                return True
        return bool(indexed.mixed) and any(self._verdict(part) is False for part in indexed.mixed)

    def _verdict(self, part: Condition, slot: int = _NO_ITEM) -> bool | None:
        """Evaluate a part of a condition, on an item or without one, once for each answer."""
        try:
            return self._here[part, slot]
        except KeyError:
            facts = self._facts.named(part.asked_names, self._placement)
            if slot != _NO_ITEM:
                facts |= self._snapshot.offers.facts.values_at(slot, part.item_names)
            verdict = self._here[part, slot] = part.verdict(facts)
            return verdict

    def _is_within(self, hours: Sequence[tuple[int, int]]) -> bool:
        minute = self._minute
        if minute is None:
            minute = self._minute = self._query.minute_of_week
        for start, end in hours:  # noqa: SIM110 - twice as fast as any() on the one range that is usual
            if start <= minute < end:
                return True
        return False

    def _is_capped(self, indexed: IndexedOffer) -> bool:
        """Tell whether one of the offer's caps is reached; one that nobody could look up counts as reached."""
        for cap, counter in indexed.caps:
            if cap.is_about(self._placement, self._channel):
                counts = self._customer.counters if cap.scope is CapScope.CUSTOMER else self._query.totals
                if counts is None or counts.get(counter_name(self._bucket(cap.period), counter), 0) >= cap.maximum:
                    return True
        return False

    def _bucket(self, period: CapPeriod) -> str:
        name = self._buckets.get(period)
        if name is None:
            name = self._buckets[period] = bucket_of(period, self._now).name
        return name

    def _belongs_to(self, audience_id: str) -> bool:
        known = self._membership.get(audience_id)
        if known is None:
            audience = self._snapshot.catalog.audiences.get(audience_id)
            known = audience is not None and self._customer.is_among(audience.customer_ids)
            self._membership[audience_id] = known
        return known
