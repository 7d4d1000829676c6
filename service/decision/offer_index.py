"""Live offers, found by item in the order in which they win, and by customer when nothing else is known."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from models.offers import Audience, Item, Offer, OfferStatus
from models.pace import Pace, unpaced
from models.terms import CapEvent
from service.decision.indexed_offer import IndexedOffer, work_out
from service.decision.item_facts import ItemFacts
from service.decision.pairing import Pairing
from service.decision.query import Customer
from service.decision.slots import Slots

_FOREVER = float("inf")
_NEVER = (_FOREVER, -_FOREVER)
_REMEMBERED_OFFERS = 64  # an item with more offers than this is looked up anew each time: memory stays bounded
_REMEMBERED_VIEWS = 32
_REMEMBERED_PAIRINGS = 200_000  # of all views together
_ORDINAL_BITS = 32
_PUT_TOGETHER = 10_000  # items of a view, before a change of the catalogue comes into force


class OfferIndex:
    """Finds live offers. Immutable but for its memory of what was asked."""

    def __init__(self, offers: Sequence[IndexedOffer], slot_count: int, facts: ItemFacts) -> None:
        """Index ``offers``, which stand in the order in which they win: highest priority first, then by id."""
        self.facts = facts
        self.fallbacks = tuple(indexed for indexed in offers if indexed.offer.fallback)
        self.budgets = {indexed.offer.offer_id: indexed.offer.budget for indexed in offers if indexed.offer.budget}
        self.caps = {indexed.offer.offer_id: indexed.offer.caps for indexed in offers if indexed.caps}
        self.decision_capped = frozenset(
            offer_id for offer_id, caps in self.caps.items() if any(cap.event is CapEvent.DECISION for cap in caps)
        )
        self._by_id = {indexed.offer.offer_id: indexed for indexed in offers}
        self._offers = offers = [indexed for indexed in offers if not indexed.offer.fallback]
        self._bounds, self._ordinals = _offers_by_slot(offers, slot_count)
        self._filters = _Filters(offers)
        self._has_conditions = any(indexed.condition is not None for indexed in offers)
        self._views: dict[tuple[str, str, bool], OfferView] = {}
        self.remembered_pairings = 0
        self._boundaries = np.array(sorted({time for indexed in offers for time in (indexed.start, indexed.end)}))
        self._since, self._until = _NEVER
        by_popularity = sorted(range(len(offers)), key=lambda ordinal: (-offers[ordinal].best_popularity, ordinal))
        self._open = [ordinal for ordinal in by_popularity if offers[ordinal].is_open]
        self._by_audience: dict[str, list[int]] = {}
        for ordinal in by_popularity:
            for audience_id in offers[ordinal].offer.audience_ids:
                self._by_audience.setdefault(audience_id, []).append(ordinal)

    def __len__(self) -> int:
        return len(self._offers)

    def __iter__(self) -> Iterator[IndexedOffer]:
        return iter(self._offers)

    def view(self, placement: str, channel: str, now: float, *, plain_items: bool = True) -> "OfferView":
        """Give what a placement and a channel (empty: any) may show at ``now``, in seconds since 1970.

        ``plain_items`` says whether items may stand without an offer. Views are remembered until an offer begins or
        ends.
        """
        if not self._since <= now < self._until or self.remembered_pairings > _REMEMBERED_PAIRINGS:
            self._begin_views(now)
        key = (placement, channel, plain_items)
        view = self._views.get(key)
        if view is None:
            if len(self._views) >= _REMEMBERED_VIEWS:
                self._begin_views(now)
            view = OfferView(self, placement, channel, now, self._until, plain_items=plain_items)
            self._views[key] = view
        return view

    def _begin_views(self, now: float) -> None:
        self._views.clear()
        self.remembered_pairings = 0
        place = int(np.searchsorted(self._boundaries, now, side="right"))
        self._since = float(self._boundaries[place - 1]) if place else -_FOREVER
        self._until = float(self._boundaries[place]) if place < len(self._boundaries) else _FOREVER

    def take_over(self, previous: "OfferIndex", now: float, pace: Pace, *, same_slots: bool) -> None:
        """Remember what the previous index remembered of items, as it is from ``now`` on.

        Otherwise all of it would have to be put together again at once, while calls wait. What did not change is the
        same object as before; of the rest as much is put together as does not delay the change for long.
        """
        touched = self._touched_since(previous) if same_slots else None
        left = _PUT_TOGETHER if same_slots else _REMEMBERED_PAIRINGS
        for old in previous.views():
            view = self.view(old.placement, old.channel, now, plain_items=old.plain_items)
            others = touched if old.holds_at(now) else None
            for slot, pairings in dict(old).items():
                if others is not None and slot not in others and self.facts.agrees(previous.facts, slot):
                    view.keep(slot, pairings)
                elif left > 0 and (found := self.facts.slot_of(previous.facts.id_of(slot))) is not None:
                    view.put_together(found, pairings)
                    left -= 1
                pace()

    def _touched_since(self, previous: "OfferIndex") -> set[int] | None:
        """Give the slots that offers came to or went from; None when what offers name does not tell."""
        changed = set(self).symmetric_difference(previous)
        if any(indexed.offer.item_filter is not None for indexed in changed):
            return None
        return {slot for indexed in changed for slot in indexed.item_slots.tolist()}

    def views(self) -> list["OfferView"]:
        """Give the views that are remembered, while other threads may ask for more."""
        return [*self._views.values()]

    def remembered(self) -> list[tuple[Pairing, ...]]:
        """Give what views remember of items, while other threads may ask them."""
        return [pairings for view in self.views() for pairings in [*view.values()]]

    def get(self, offer_id: str) -> IndexedOffer | None:
        """Give an indexed offer by id, fallbacks included."""
        return self._by_id.get(offer_id)

    def on(self, slot: int) -> Iterable[IndexedOffer]:
        """Give the offers on an item, the one that wins first: a tuple, or an iterator where there are many.

        Those whose condition rules the item out are left out.
        """
        named: list[int] = []
        if slot < len(self._bounds) - 1:
            named = self._ordinals[self._bounds[slot] : self._bounds[slot + 1]].tolist()
        item = self.facts.at(slot) if self._filters else None
        groups = self._filters.groups(item) if item is not None else []
        found = (
            self._merged(named, groups, item) if item is not None and groups else map(self._offers.__getitem__, named)
        )
        if self._has_conditions:
            found = (one for one in found if one.condition is None or not self.facts.refutes(one.condition, slot))
        return tuple(found) if len(named) + sum(map(len, groups)) <= _REMEMBERED_OFFERS else found

    def _merged(self, named: list[int], groups: list[list[int]], item: Item) -> Iterator[IndexedOffer]:
        last, names = -1, frozenset(named)
        for ordinal in heapq.merge(named, *groups):
            if ordinal == last:
                continue
            last = ordinal
            item_filter = self._offers[ordinal].offer.item_filter
            if ordinal in names or (item_filter is not None and item_filter.covers(item)):
                yield self._offers[ordinal]

    def reachable(self, audience_ids: Iterable[str]) -> Iterator[IndexedOffer]:
        """Give the offers for everyone and for these audiences, the one with the most popular item first."""
        groups = [self._open, *(self._by_audience[audience_id] for audience_id in audience_ids)]
        offers = self._offers
        merged = heapq.merge(*groups, key=lambda ordinal: (-offers[ordinal].best_popularity, ordinal))
        return (offers[ordinal] for ordinal in merged)

    def audiences_of(self, customer: Customer, audiences: Mapping[str, Audience]) -> list[str]:
        """Give those audiences that some live offer is for and that the customer belongs to."""
        return [
            audience_id
            for audience_id in self._by_audience
            if audience_id in audiences and customer.is_among(audiences[audience_id].customer_ids)
        ]


class OfferView(dict[int, tuple[Pairing, ...]]):
    """Gives by slot what one placement and channel may show of an item at one time: nothing when the shop lacks it.

    First the item with each offer on it, the one that wins first, then the item alone where the placement allows that;
    but no further than to the first that concerns nobody in particular, behind which hardly anybody has to look: see
    :meth:`after`. What concerns the customer is not looked at. It fills itself as it is asked.
    """

    def __init__(
        self, index: OfferIndex, placement: str, channel: str, now: float, until: float, *, plain_items: bool
    ) -> None:
        """Look at ``index`` at ``now``; nothing begins or ends before ``until``."""
        super().__init__()
        self.placement = placement
        self.channel = channel
        self.plain_items = plain_items
        self._index = index
        self._now = now
        self._until = until
        self._after: dict[int, tuple[Pairing, ...]] = {}

    def admits(self, indexed: IndexedOffer) -> bool:
        """Tell whether an offer may be shown on the placement and the channel."""
        return (not indexed.placements or self.placement in indexed.placements) and (
            not self.channel or not indexed.channels or self.channel in indexed.channels
        )

    def after(self, slot: int) -> Iterable[Pairing]:
        """Give what comes after the pairings that the view gives of an item itself."""
        if slot in self._after:
            return self._after[slot]
        found = self._index.on(slot)
        pairings = islice(self._pairings(slot, found), len(self[slot]), None)
        if not isinstance(found, tuple):
            return pairings
        remembered = self._after[slot] = tuple(pairings)
        self._index.remembered_pairings += len(remembered)
        return remembered

    def holds_at(self, now: float) -> bool:
        """Tell whether no offer begins or ends between the time of the view and ``now``."""
        return self._now <= now < self._until

    def keep(self, slot: int, pairings: tuple[Pairing, ...]) -> None:
        """Remember what another view, of the same terms, gave of an item that is as it was."""
        self[slot] = pairings
        self._index.remembered_pairings += 1 + len(pairings)

    def put_together(self, slot: int, before: tuple[Pairing, ...]) -> None:
        """Remember what the view gives of an item, with what was made of the same pairings before."""
        for pairing, old in zip(self[slot], before, strict=False):
            if pairing.item is old.item and pairing.offer is old.offer and pairing.item_id == old.item_id:
                pairing.encoded = old.encoded

    def __missing__(self, slot: int) -> tuple[Pairing, ...]:
        first = []
        for pairing in self._pairings(slot, self._index.on(slot)):
            first.append(pairing)
            if not pairing.is_conditional or len(first) == _REMEMBERED_OFFERS:
                break
        else:
            self._after[slot] = ()
        remembered = self[slot] = tuple(first)
        self._index.remembered_pairings += 1 + len(remembered)
        return remembered

    def _pairings(self, slot: int, found: Iterable[IndexedOffer]) -> Iterator[Pairing]:
        facts = self._index.facts
        if not facts.shows(slot):
            return
        item_id, item = facts.id_of(slot), facts.at(slot)
        for indexed in found:
            if indexed.start <= self._now < indexed.end and self.admits(indexed):
                yield Pairing.on(item_id, item, indexed)
        if self.plain_items:
            yield Pairing.alone(item_id, item)


class _Filters:
    """Finds the offers whose filter may cover an item, by the one condition that tells most."""

    def __init__(self, offers: Sequence[IndexedOffer]) -> None:
        self._by_category: dict[str, list[int]] = {}
        self._by_label: dict[str, list[int]] = {}
        self._others: list[int] = []
        for ordinal, indexed in enumerate(offers):
            item_filter = indexed.offer.item_filter
            if item_filter is None:
                continue
            for category in dict.fromkeys(item_filter.categories):
                self._by_category.setdefault(category, []).append(ordinal)
            if not item_filter.categories:
                for label in dict.fromkeys(item_filter.labels):
                    self._by_label.setdefault(label, []).append(ordinal)
                if not item_filter.labels:
                    self._others.append(ordinal)

    def __bool__(self) -> bool:
        return bool(self._by_category or self._by_label or self._others)

    def groups(self, item: Item) -> list[list[int]]:
        """Give ascending lists of ordinals that together hold every offer whose filter covers the item."""
        groups = [self._by_category.get(item.category), *map(self._by_label.get, item.labels), self._others]
        return [group for group in groups if group]


def index_offers(
    offers: Mapping[str, Offer],
    items: Mapping[str, Item],
    slots: Slots,
    popularity: NDArray[np.float32],
    now: float,
    previous: OfferIndex | None,
    pace: Pace = unpaced,
) -> OfferIndex:
    """Index the live offers that have not ended at ``now`` (seconds since 1970), taking over what ``previous`` knows.

    ``previous`` must have been built with the same ``slots``; only offers that changed since are worked out anew, and
    those whose filter or condition may say otherwise now. ``popularity`` (rows,) is the model's.
    """
    same_items = previous is not None and previous.facts.is_of(items)
    facts = previous.facts if previous is not None and same_items else ItemFacts(items, slots, popularity)
    indexed = []
    for offer_id, offer in offers.items():
        if offer.status is not OfferStatus.LIVE:
            continue
        entry = previous.get(offer_id) if previous is not None else None
        if entry is None or entry.offer is not offer or not (same_items or not entry.follows_items):
            entry = work_out(offer, slots, popularity, facts)
        if entry.end > now:
            indexed.append(entry)
        pace()
    indexed.sort(key=lambda entry: (-entry.offer.priority, entry.offer.offer_id))
    return OfferIndex(indexed, len(slots), facts)


def _offers_by_slot(offers: Sequence[IndexedOffer], slot_count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turn offer → items around: bounds (slots + 1,) and the ordinals of the offers on each slot, ascending.

    Slot and ordinal are sorted as one number, in C, which lets other threads run meanwhile. scipy could do it, as CSR →
    CSC, but takes 15 MB and 0.4 s to load, and a server needs it for nothing else before an audience is asked for.
    """
    if not offers or slot_count == 0:
        return np.zeros(slot_count + 1, dtype=np.int64), np.empty(0, dtype=np.int64)
    ordinals = np.repeat(np.arange(len(offers)), [len(indexed.item_slots) for indexed in offers])
    pairs = np.concatenate([indexed.item_slots for indexed in offers]).astype(np.int64) << _ORDINAL_BITS
    pairs |= ordinals
    pairs.sort()
    slots = pairs >> _ORDINAL_BITS
    return np.searchsorted(slots, np.arange(slot_count + 1)), pairs & ((1 << _ORDINAL_BITS) - 1)
