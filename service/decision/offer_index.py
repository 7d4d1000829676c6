"""Live offers, found by item in the order in which they win, and by customer when nothing else is known."""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from models.offers import Audience, Offer, OfferStatus
from service.decision.slots import Slots

_FOREVER = float("inf")
_REMEMBERED_OFFERS = 64  # an item with more offers than this is looked up anew each time: memory stays bounded


@dataclass(frozen=True, slots=True, eq=False)
class IndexedOffer:
    """Is an offer with its terms in the form in which requests check them.

    ``start`` and ``end`` are seconds since 1970, UTC; ``item_slots`` (n,) uint32 has the most popular item first.
    """

    offer: Offer
    start: float
    end: float
    channels: frozenset[str]
    placements: frozenset[str]
    item_slots: NDArray[np.uint32]
    best_popularity: float

    @property
    def is_open(self) -> bool:
        """Tell whether the offer is for everyone."""
        return not self.offer.audience_ids


class OfferIndex:
    """Finds live offers. Immutable but for its memory of what was asked."""

    def __init__(self, offers: Sequence[IndexedOffer], slot_count: int) -> None:
        """Index ``offers``, which stand in the order in which they win: highest priority first, then by id."""
        self._offers = offers
        self._bounds, self._ordinals = _offers_by_slot(offers, slot_count)
        self._remembered: dict[int, tuple[IndexedOffer, ...]] = {}
        self._by_id = {indexed.offer.offer_id: indexed for indexed in offers}
        by_popularity = sorted(range(len(offers)), key=lambda ordinal: (-offers[ordinal].best_popularity, ordinal))
        self._open = [ordinal for ordinal in by_popularity if offers[ordinal].is_open]
        self._by_audience: dict[str, list[int]] = {}
        for ordinal in by_popularity:
            for audience_id in offers[ordinal].offer.audience_ids:
                self._by_audience.setdefault(audience_id, []).append(ordinal)

    def __len__(self) -> int:
        return len(self._offers)

    def get(self, offer_id: str) -> IndexedOffer | None:
        """Give an indexed offer by id."""
        return self._by_id.get(offer_id)

    def on(self, slot: int) -> tuple[IndexedOffer, ...]:
        """Give the offers on an item, the one that wins first."""
        found = self._remembered.get(slot)
        if found is None:
            if slot >= len(self._bounds) - 1:
                return ()
            ordinals = self._ordinals[self._bounds[slot] : self._bounds[slot + 1]].tolist()
            found = tuple(self._offers[ordinal] for ordinal in ordinals)
            if len(found) <= _REMEMBERED_OFFERS:
                self._remembered[slot] = found
        return found

    def reachable(self, audience_ids: Iterable[str]) -> Iterator[IndexedOffer]:
        """Give the offers for everyone and for these audiences, the one with the most popular item first."""
        groups = [self._open, *(self._by_audience[audience_id] for audience_id in audience_ids)]
        offers = self._offers
        merged = heapq.merge(*groups, key=lambda ordinal: (-offers[ordinal].best_popularity, ordinal))
        return (offers[ordinal] for ordinal in merged)

    def audiences_of(self, customer_id: str, audiences: Mapping[str, Audience]) -> list[str]:
        """Give those audiences that some live offer is for and that the customer belongs to."""
        return [
            audience_id
            for audience_id in self._by_audience
            if audience_id in audiences and customer_id in audiences[audience_id].customer_ids
        ]


def index_offers(
    offers: Mapping[str, Offer],
    slots: Slots,
    popularity: NDArray[np.float32],
    now: float,
    previous: OfferIndex | None,
) -> OfferIndex:
    """Index the live offers that have not ended at ``now`` (seconds since 1970), taking over what ``previous`` knows.

    ``previous`` must have been built with the same ``slots``; only offers that changed since are worked out anew.
    ``popularity`` (rows,) is the model's.
    """
    indexed = []
    for offer_id, offer in offers.items():
        if offer.status is not OfferStatus.LIVE:
            continue
        known = previous.get(offer_id) if previous is not None else None
        entry = known if known is not None and known.offer is offer else _indexed(offer, slots, popularity)
        if entry.end > now:
            indexed.append(entry)
    indexed.sort(key=lambda entry: (-entry.offer.priority, entry.offer.offer_id))
    return OfferIndex(indexed, len(slots))


def _indexed(offer: Offer, slots: Slots, popularity: NDArray[np.float32]) -> IndexedOffer:
    item_slots = slots.assign(offer.item_ids)
    worth = np.zeros(len(item_slots), dtype=np.float32)
    in_model = item_slots < len(popularity)
    worth[in_model] = popularity[item_slots[in_model]]
    order = np.argsort(-worth, kind="stable")
    return IndexedOffer(
        offer=offer,
        start=offer.start_time.timestamp() if offer.start_time is not None else -_FOREVER,
        end=offer.end_time.timestamp() if offer.end_time is not None else _FOREVER,
        channels=frozenset(offer.channels),
        placements=frozenset(offer.placements),
        item_slots=item_slots[order],
        best_popularity=float(worth[order[0]]) if len(order) else 0.0,
    )


def _offers_by_slot(offers: Sequence[IndexedOffer], slot_count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Turn offer → items around: bounds (slots + 1,) and the ordinals of the offers on each slot, ascending.

    scipy's CSR → CSC is a counting sort in C that lets other threads run meanwhile.
    """
    if not offers or slot_count == 0:
        return np.zeros(slot_count + 1, dtype=np.int64), np.empty(0, dtype=np.int64)
    bounds = np.zeros(len(offers) + 1, dtype=np.int64)
    np.cumsum([len(indexed.item_slots) for indexed in offers], out=bounds[1:])
    item_slots = np.concatenate([indexed.item_slots for indexed in offers]).astype(np.int64)
    by_offer = csr_array((np.ones(len(item_slots), dtype=np.int8), item_slots, bounds), shape=(len(offers), slot_count))
    by_slot = by_offer.tocsc()
    return np.asarray(by_slot.indptr, dtype=np.int64), np.asarray(by_slot.indices, dtype=np.int64)
