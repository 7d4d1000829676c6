"""Which offers stand on an item, found by item: what triggers look for."""

from collections.abc import Iterable, Mapping
from functools import cached_property

from models.offers import Item, Offer, OfferStatus

_REMEMBERED = 100_000


class OfferedItems:
    """Finds the live offers on items of one catalogue. Immutable but for its memory of what was asked."""

    def __init__(self, offers: Iterable[Offer], items: Mapping[str, Item]) -> None:
        self._offers = [offer for offer in offers if offer.status is OfferStatus.LIVE and not offer.fallback]
        self._items = items
        self._found: dict[str, tuple[Offer, ...]] = {}

    def has(self, item_id: str) -> bool:
        """Tell whether the shop has an item; a catalogue without items lacks none."""
        return not self._items or item_id in self._items

    def on(self, item_id: str) -> tuple[Offer, ...]:
        """Give the offers on an item, the one that wins first; whatever their times, places and audiences."""
        found = self._found.get(item_id)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            item = self._items.get(item_id)
            covering = [] if item is None else [one for one in self._filtered if _covers(one, item)]
            offers = {offer.offer_id: offer for offer in (*self._named.get(item_id, ()), *covering)}
            found = tuple(sorted(offers.values(), key=lambda offer: (-offer.priority, offer.offer_id)))
            self._found[item_id] = found
        return found

    def get(self, offer_id: str) -> Offer | None:
        """Give a live offer by its id."""
        return self._by_id.get(offer_id)

    @cached_property
    def _by_id(self) -> dict[str, Offer]:
        return {offer.offer_id: offer for offer in self._offers}

    @cached_property
    def _named(self) -> dict[str, list[Offer]]:
        named: dict[str, list[Offer]] = {}
        for offer in self._offers:
            for item_id in offer.item_ids:
                named.setdefault(item_id, []).append(offer)
        return named

    @cached_property
    def _filtered(self) -> list[Offer]:
        return [offer for offer in self._offers if offer.item_filter is not None]


def _covers(offer: Offer, item: Item) -> bool:
    return offer.item_filter is not None and offer.item_filter.covers(item)
