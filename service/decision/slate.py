"""From candidates to slates: one lazy pass that stops when the slate is full."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from models.candidates import BOUGHT_FLAG, VIEWED_FLAG
from models.offers import Offer, Rebuys
from service.decision.candidate_stream import Ranked, context_strengths, stream_candidates
from service.decision.explanation import Explainer
from service.decision.history import read_history
from service.decision.offer_index import IndexedOffer
from service.decision.query import Customer, Query, SlateQuery
from service.decision.reasons import CAMPAIGN, Reason
from service.decision.snapshot import Snapshot


class Choice(NamedTuple):
    """Is one place in a slate: an item, the offer made on it or None, and why."""

    item_id: str
    offer: Offer | None
    score: float
    reasons: tuple[Reason, ...]


def decide(snapshot: Snapshot, query: Query, customer: Customer) -> list[list[Choice]]:
    """Fill the slates asked for, in order of importance; no item and no offer stands twice in the answer.

    Each slate takes items in the order of :func:`stream_candidates`, each with the best offer that may be shown, else
    as a plain item where the placement allows; then what campaigns for this customer hold. It may end up empty.
    """
    decision = _Decision(snapshot, query, customer)
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


class _Decision:
    """Holds what one answer has used up so far."""

    def __init__(self, snapshot: Snapshot, query: Query, customer: Customer) -> None:
        self._snapshot = snapshot
        self._query = query
        self._customer = customer
        self._history = read_history(customer.profile, snapshot.slots)
        context = snapshot.slots.find_all(query.context_item_ids)
        rows = [slot for slot in context if slot < snapshot.slots.row_count]
        self._used_slots = context | snapshot.slots.find_all(query.excluded_item_ids) | self._history.dismissed_slots
        self._used_offer_ids = self._history.dismissed_offer_ids.union(query.excluded_offer_ids)
        self._membership: dict[str, bool] = {}
        model = snapshot.model.items
        strengths = context_strengths(model, rows) if rows else {}
        stream = stream_candidates(customer.candidates, model, query.segment, strengths)
        self._candidates: Iterable[Ranked] = stream if len(query.slates) == 1 else _Replay(stream)
        self._explainer = Explainer(snapshot, customer, self._history, rows, query.segment)
        self._explain = self._explainer.every if query.explain else self._explainer.first

    def fill(self, slate: SlateQuery) -> list[Choice]:
        """Fill one slate."""
        choices: list[Choice] = []
        if slate.size <= 0:
            return choices
        blocked = self._unwelcome(slate.placement.rebuys)
        refuse_bought = slate.placement.rebuys is Rebuys.REFUSED
        plain_items, placement = slate.placement.plain_items, slate.placement.placement
        used, shows, offers_on = self._used_slots, self._snapshot.shows, self._snapshot.offers.on
        score = 0.0
        for ranked in self._candidates:
            slot, score, source, _ = ranked
            if slot in used or slot in blocked or (refuse_bought and source & BOUGHT_FLAG) or not shows(slot):
                continue
            offers = offers_on(slot)
            indexed = self._best_of(offers, placement) if offers else None
            if indexed is None and not plain_items:
                continue
            choices.append(self._take(slot, indexed, score, self._explain(ranked)))
            if len(choices) == slate.size:
                return choices
        self._add_campaigns(choices, slate, blocked, score)
        return choices

    def _unwelcome(self, rebuys: Rebuys) -> set[int]:
        """Give the slots that the placement's rule on rebuys keeps out, besides candidates with BOUGHT_FLAG."""
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

    def _take(self, slot: int, indexed: IndexedOffer | None, score: float, reasons: tuple[Reason, ...]) -> Choice:
        self._used_slots.add(slot)
        offer = None
        if indexed is not None:
            offer = indexed.offer
            self._used_offer_ids.add(offer.offer_id)
        return Choice(self._snapshot.slots.ids[slot], offer, score, reasons)

    def _best_of(self, offers: Iterable[IndexedOffer], placement: str) -> IndexedOffer | None:
        for indexed in offers:
            if self._may_show(indexed, placement):
                return indexed
        return None

    def _may_show(self, indexed: IndexedOffer, placement: str) -> bool:
        channel = self._query.channel
        offer = indexed.offer
        return (
            indexed.start <= self._query.now < indexed.end
            and offer.offer_id not in self._used_offer_ids
            and (not indexed.placements or placement in indexed.placements)
            and (not channel or not indexed.channels or channel in indexed.channels)
            and (not offer.audience_ids or any(map(self._belongs_to, offer.audience_ids)))
        )

    def _belongs_to(self, audience_id: str) -> bool:
        known = self._membership.get(audience_id)
        if known is None:
            audience = self._snapshot.catalog.audiences.get(audience_id)
            known = audience is not None and self._customer.customer_id in audience.customer_ids
            self._membership[audience_id] = known
        return known

    def _add_campaigns(self, choices: list[Choice], slate: SlateQuery, blocked: set[int], score: float) -> None:
        """Go on with offers that may be shown to this customer, each on its most popular item that is still free."""
        snapshot = self._snapshot
        if len(snapshot.offers) == 0:
            return
        audiences = snapshot.offers.audiences_of(self._customer.customer_id, snapshot.catalog.audiences)
        for indexed in snapshot.offers.reachable(audiences):
            if not self._may_show(indexed, slate.placement.placement):
                continue
            slot = self._free_slot(indexed, blocked)
            if slot is not None:
                # Below whatever stood before; popularity is in 0 … 1, so that the order is kept.
                choices.append(self._take(slot, indexed, score - 1.0 + indexed.best_popularity, CAMPAIGN))
                if len(choices) == slate.size:
                    return

    def _free_slot(self, indexed: IndexedOffer, blocked: set[int]) -> int | None:
        for slot in map(int, indexed.item_slots):
            if slot not in self._used_slots and slot not in blocked and self._snapshot.shows(slot):
                return slot
        return None
