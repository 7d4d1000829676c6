"""From candidates to slates: one lazy pass that stops when the slate is full, or what the placement's policy makes."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from models.candidates import BOUGHT_FLAG, VIEWED_FLAG
from models.offers import Offer, Rebuys
from service.decision.arbitration import Arbiter, Contender, Factors, contender_for
from service.decision.arrangement import AppliedRule, arrange
from service.decision.candidate_stream import Ranked, context_strengths, stream_candidates
from service.decision.explanation import Explainer
from service.decision.history import read_history
from service.decision.indexed_offer import IndexedOffer
from service.decision.query import Customer, Query, SlateQuery
from service.decision.reasons import CAMPAIGN, FALLBACK, Reason
from service.decision.snapshot import Snapshot
from service.decision.terms import TermsCheck

MAXIMAL_CONTENDERS = 200
"""How many contenders a policy chooses from: more than two lists of candidates hold in all."""


class Choice(NamedTuple):
    """Is one place in a slate: an item, the offer made on it or None, and why; a fallback may have no item."""

    item_id: str
    offer: Offer | None
    score: float
    reasons: tuple[Reason, ...]
    factors: Factors | None = None
    applied_rules: tuple[AppliedRule, ...] = ()


def decide(snapshot: Snapshot, query: Query, customer: Customer) -> list[list[Choice]]:
    """Fill the slates asked for, in order of importance; no item and no offer stands twice in the answer.

    Each slate takes items in the order of :func:`stream_candidates`, each with the best offer that may be shown, else
    as a plain item where the placement allows; then what campaigns for this customer hold. Policies that are not plain
    choose from what comes first in this order. What would be empty holds the placement's fallback, if there is one.
    """
    decision = Decision(snapshot, query, customer)
    return [decision.fill(slate) for slate in query.slates]


class _Replay:
    """Lets several slates walk one lazy stream from its beginning."""

    def __init__(self, stream: Iterator[Ranked]) -> None:
        self._stream = stream
        self._seen: list[Ranked] = []

    def __iter__(self) -> Iterator[Ranked]:
        return chain(tuple(self._seen), self._fresh())

    def _fresh(self) -> Iterator[Ranked]:
        for ranked in self._stream:
            self._seen.append(ranked)
            yield ranked


class Decision:
    """Holds what one answer has used up so far."""

    def __init__(self, snapshot: Snapshot, query: Query, customer: Customer) -> None:
        self._snapshot = snapshot
        self._query = query
        self._customer = customer
        self._history = read_history(customer.profile, snapshot.slots)
        context = snapshot.slots.find_all(query.context_item_ids)
        rows = [slot for slot in context if slot < snapshot.slots.row_count]
        self._used_slots = context | snapshot.slots.find_all(query.excluded_item_ids) | self._history.dismissed_slots
        self.terms = TermsCheck(snapshot, query, customer, self._history)
        model = snapshot.model.items
        strengths = context_strengths(model, rows) if rows else {}
        stream = stream_candidates(customer.candidates, model, query.segment, strengths)
        self._candidates: Iterable[Ranked] = stream if len(query.slates) == 1 else _Replay(stream)
        self._explainer = Explainer(snapshot, customer, self._history, rows, query.segment)
        self._explain = self._explainer.every if query.explain else self._explainer.first

    def fill(self, slate: SlateQuery) -> list[Choice]:
        """Fill one slate."""
        if slate.size <= 0:
            return []
        choices = self._pass(slate) if slate.placement.policy.is_plain else self._compose(slate)
        return choices or self._fall_back(slate)

    def free_slot(self, indexed: IndexedOffer, blocked: set[int]) -> int | None:
        """Give the most popular item of an offer that may still be shown; None when there is none."""
        return next((slot for slot in indexed.reached_slots.tolist() if self.is_free(slot, blocked)), None)

    def is_free(self, slot: int, blocked: set[int]) -> bool:
        """Tell whether an item may still be shown."""
        return slot not in self._used_slots and slot not in blocked and self._snapshot.shows(slot)

    def unwelcome(self, rebuys: Rebuys) -> set[int]:
        """Give the slots that a placement's rule on rebuys keeps out, besides candidates with BOUGHT_FLAG."""
        if rebuys is Rebuys.ALLOWED:
            return set()
        if rebuys is Rebuys.LATER:
            return self._history.bought_after(self._snapshot.model.trained_until)
        blocked = set(self._history.bought)
        own = self._customer.candidates
        if own is not None:
            blocked.update(packed for packed in own.evidence_rows.tolist() if not packed & VIEWED_FLAG)
            bought = (own.candidates["source"] & BOUGHT_FLAG) != 0
            blocked.update(own.candidates["row"][bought].tolist())
        return blocked

    def _pass(self, slate: SlateQuery) -> list[Choice]:
        """Take what comes, until the slate is full."""
        choices: list[Choice] = []
        blocked = self.unwelcome(slate.placement.rebuys)
        score = 0.0
        for ranked, indexed in self._showable(slate, blocked):
            score = ranked[1]
            choices.append(self._take(ranked[0], indexed, score, self._explain(ranked)))
            if len(choices) == slate.size:
                return choices
        for slot, indexed in self._campaigns(slate, blocked):
            choices.append(self._take(slot, indexed, _campaign_score(score, indexed), CAMPAIGN))
            if len(choices) == slate.size:
                return choices
        return choices

    def _showable(self, slate: SlateQuery, blocked: set[int]) -> Iterator[tuple[Ranked, IndexedOffer | None]]:
        """Give the candidates that may stand in a slate, each with the best offer on it; use up what is taken."""
        refuse_bought = slate.placement.rebuys is Rebuys.REFUSED
        plain_items, placement = slate.placement.plain_items, slate.placement.placement
        used, shows, offers_on = self._used_slots, self._snapshot.shows, self._snapshot.offers.on
        for ranked in self._candidates:
            slot = ranked[0]
            if slot in used or slot in blocked or (refuse_bought and ranked[2] & BOUGHT_FLAG) or not shows(slot):
                continue
            offers = offers_on(slot)
            indexed = self._best_of(offers, placement) if offers else None
            if indexed is not None or plain_items:
                yield ranked, indexed

    def _best_of(self, offers: Iterable[IndexedOffer], placement: str) -> IndexedOffer | None:
        for indexed in offers:
            if self.terms.may_show(indexed, placement):
                return indexed
        return None

    def _campaigns(self, slate: SlateQuery, blocked: set[int]) -> Iterator[tuple[int, IndexedOffer]]:
        """Give offers that may be shown to this customer, each on its most popular item that is still free."""
        snapshot = self._snapshot
        if len(snapshot.offers) == 0:
            return
        audiences = snapshot.offers.audiences_of(self._customer.customer_id, snapshot.catalog.audiences)
        for indexed in snapshot.offers.reachable(audiences):
            if self.terms.may_show(indexed, slate.placement.placement):
                slot = self.free_slot(indexed, blocked)
                if slot is not None:
                    yield slot, indexed

    def _take(self, slot: int, indexed: IndexedOffer | None, score: float, reasons: tuple[Reason, ...]) -> Choice:
        offer = indexed.offer if indexed is not None else None
        self._use(slot, offer)
        return Choice(self._snapshot.slots.ids[slot], offer, score, reasons)

    def _use(self, slot: int, offer: Offer | None) -> None:
        self._used_slots.add(slot)
        if offer is not None:
            self.terms.use(offer.offer_id)

    def _compose(self, slate: SlateQuery) -> list[Choice]:
        """Choose from the first contenders as the placement's policy says."""
        blocked = self.unwelcome(slate.placement.rebuys)
        used_slots, barred = self._used_slots.copy(), self.terms.barred.copy()
        pinned = self._pinned(slate, blocked)
        contenders = self._contenders(slate, blocked)
        # While they were gathered, nothing could stand twice; only what is chosen stays used up.
        self._used_slots, self.terms.barred = used_slots, barred
        arbiter = Arbiter(self._snapshot, self._query, self._customer, slate.placement)
        arbiter.judge([*pinned.values(), *contenders])
        places = arrange(contenders, pinned, slate.placement.policy, slate.size, self._snapshot.model.items)
        return [self._choice_of(contender, applied) for contender, applied in places]

    def _pinned(self, slate: SlateQuery, blocked: set[int]) -> dict[int, Contender]:
        """Give the contenders for fixed places, by place from 0; a place beyond the slate is its last free one."""
        pinned: dict[int, Contender] = {}
        for pin in sorted(slate.placement.policy.pins, key=lambda pin: pin.rank):
            indexed = self._snapshot.offers.get(pin.offer_id)
            place = min(pin.rank - 1, slate.size - 1)
            while place in pinned:
                place -= 1
            if place < 0 or indexed is None or indexed.offer.fallback:
                continue
            if not self.terms.may_show(indexed, slate.placement.placement):
                continue
            slot = self.free_slot(indexed, blocked)
            if slot is not None:
                pinned[place] = self._contender(slot, indexed, None, 0.0)
        return pinned

    def _contenders(self, slate: SlateQuery, blocked: set[int]) -> list[Contender]:
        contenders = []
        score = 0.0
        for ranked, indexed in self._showable(slate, blocked):
            score = ranked[1]
            contenders.append(self._contender(ranked[0], indexed, ranked, score))
            if len(contenders) == MAXIMAL_CONTENDERS:
                return contenders
        for slot, indexed in self._campaigns(slate, blocked):
            contenders.append(self._contender(slot, indexed, None, _campaign_score(score, indexed)))
            if len(contenders) == MAXIMAL_CONTENDERS:
                return contenders
        return contenders

    def _contender(self, slot: int, indexed: IndexedOffer | None, ranked: Ranked | None, score: float) -> Contender:
        contender = contender_for(slot, indexed, self._snapshot.offers.facts.at(slot), ranked, score)
        self._use(slot, contender.offer)
        return contender

    def _choice_of(self, contender: Contender, applied: tuple[AppliedRule, ...]) -> Choice:
        self._use(contender.slot, contender.offer)
        reasons = self._explain(contender.ranked) if contender.ranked is not None else CAMPAIGN
        item_id = self._snapshot.slots.ids[contender.slot]
        return Choice(item_id, contender.offer, contender.score, reasons, contender.factors, applied)

    def _fall_back(self, slate: SlateQuery) -> list[Choice]:
        """Give the placement's first fallback that may be shown, on its most popular free item if there is one."""
        offers = self._snapshot.offers
        wanted = slate.placement.policy.fallback_offer_ids
        named = (indexed for offer_id in wanted if (indexed := offers.get(offer_id)) is not None)
        blocked = self.unwelcome(slate.placement.rebuys)
        for indexed in named if wanted else offers.fallbacks:
            if indexed.offer.fallback and self.terms.may_show(indexed, slate.placement.placement):
                slot = self.free_slot(indexed, blocked)
                if slot is not None:
                    return [self._take(slot, indexed, 0.0, FALLBACK)]
                self.terms.use(indexed.offer.offer_id)
                return [Choice("", indexed.offer, 0.0, FALLBACK)]
        return []


def _campaign_score(last: float, indexed: IndexedOffer) -> float:
    """Give a score below whatever stood before; popularity is in 0 … 1, so that the order is kept."""
    return last - 1.0 + indexed.best_popularity
