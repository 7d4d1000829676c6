"""What the catalogue knows of items, by slot: what filters cover, what policies count by."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from models.offers import Item, ItemFilter
from service.decision.slots import Slots

_REACHED_ITEMS = 64  # of a filter: the items that a campaign may stand on when nothing else is known of the customer


class ItemFacts:
    """Finds items by slot and by filter. Immutable but for its memory of filters."""

    def __init__(self, items: Mapping[str, Item], slots: Slots, popularity: NDArray[np.float32]) -> None:
        """``popularity`` (rows,) is the model's; items that it lacks come last, by id."""
        self._items = items
        self._slots = slots
        self._popularity = popularity
        self._covered: dict[ItemFilter, NDArray[np.uint32]] = {}
        self._by_popularity: list[tuple[int, Item]] | None = None

    def is_of(self, items: Mapping[str, Item]) -> bool:
        """Tell whether these are the very items that the facts are about."""
        return self._items is items

    def at(self, slot: int) -> Item | None:
        """Give the item of a slot, None when the catalogue lacks it."""
        return self._items.get(self._slots.ids[slot])

    def covered(self, item_filter: ItemFilter) -> NDArray[np.uint32]:
        """Give the slots of the most popular items that a filter covers, best first, shape (at most 64,)."""
        found = self._covered.get(item_filter)
        if found is None:
            found = np.fromiter(self._first_covered(item_filter), dtype=np.uint32)
            self._covered[item_filter] = found
        return found

    def _first_covered(self, item_filter: ItemFilter) -> Iterator[int]:
        count = 0
        for slot, item in self._ordered():
            if item_filter.covers(item):
                yield slot
                count += 1
                if count == _REACHED_ITEMS:
                    return

    def _ordered(self) -> list[tuple[int, Item]]:
        if self._by_popularity is None:
            item_ids = sorted(self._items)
            slots = self._slots.assign(item_ids)
            worth = np.full(len(slots), -1.0, dtype=np.float32)
            in_model = slots < len(self._popularity)
            worth[in_model] = self._popularity[slots[in_model]]
            order = np.argsort(-worth, kind="stable").tolist()
            self._by_popularity = [(int(slots[place]), self._items[item_ids[place]]) for place in order]
        return self._by_popularity
