"""What the catalogue knows of items, by slot: what filters cover, what conditions say, what policies count by."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from models.offers import Item, ItemFilter
from service.decision.conditions import Condition
from service.decision.facts import item_facts
from service.decision.slots import Slots

_REMEMBERED_VERDICTS = 1_000_000
_REACHED_ITEMS = 64  # of a filter: the items that a campaign may stand on when nothing else is known of the customer


class ItemFacts:
    """Finds items by slot and by filter. Immutable but for its memory of filters."""

    def __init__(self, items: Mapping[str, Item], slots: Slots, popularity: NDArray[np.float32]) -> None:
        """``popularity`` (rows,) is the model's; items that it lacks come last, by id."""
        self._items = items
        self._slots = slots
        self._popularity = popularity
        self._covered: dict[tuple[ItemFilter, Condition | None], NDArray[np.uint32]] = {}
        self._verdicts: dict[tuple[Condition, int], bool | None] = {}
        self._by_popularity: list[tuple[int, Item]] | None = None

    def is_of(self, items: Mapping[str, Item]) -> bool:
        """Tell whether these are the very items that the facts are about."""
        return self._items is items

    def slot_of(self, item_id: str) -> int | None:
        """Give the slot of an item, None when it has none."""
        return self._slots.find(item_id)

    def at(self, slot: int) -> Item | None:
        """Give the item of a slot, None when the catalogue lacks it."""
        return self._items.get(self._slots.ids[slot])

    def refutes(self, condition: Condition, slot: int) -> bool:
        """Tell whether a condition cannot hold on an item, whoever asks. Its parts are evaluated once for each item."""
        return any(part.item_names and self._refutes(part, slot) for part in condition.parts)

    def not_refuted(self, condition: Condition | None, slots: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Give those of the slots (n,) on which a condition may hold, in their order."""
        if condition is None or not condition.item_names:
            return slots
        return np.array([slot for slot in slots.tolist() if not self.refutes(condition, slot)], dtype=np.uint32)

    def values_at(self, slot: int, names: Iterable[str]) -> dict[str, object]:
        """Give those of the named facts of an item that are known."""
        return item_facts(self._slots.ids[slot], self.at(slot), names)

    def id_of(self, slot: int) -> str:
        """Give the id of a slot's item."""
        return self._slots.ids[slot]

    def shows(self, slot: int) -> bool:
        """Tell whether the shop has an item: a catalogue with items decides, an empty one leaves it to the model."""
        return self._slots.ids[slot] in self._items if self._items else slot < self._slots.row_count

    def agrees(self, other: "ItemFacts", slot: int) -> bool:
        """Tell whether an item is what it is to other facts with the same slots."""
        return self.at(slot) is other.at(slot) and self.shows(slot) == other.shows(slot)

    def covered(self, item_filter: ItemFilter, condition: Condition | None = None) -> NDArray[np.uint32]:
        """Give the slots of the most popular items that a filter covers, best first, shape (at most 64,).

        Items on which the condition cannot hold are passed over.
        """
        key = (item_filter, condition)
        found = self._covered.get(key)
        if found is None:
            found = self._covered[key] = np.fromiter(self._first_covered(item_filter, condition), dtype=np.uint32)
        return found

    def every_covered(self, item_filter: ItemFilter, condition: Condition | None) -> Iterator[int]:
        """Give the slots of all items that a filter covers and on which a condition may hold, in no order.

        Unlike :meth:`covered` it makes no slots, so that other threads may call it.
        """
        for item_id, item in self._items.items():
            slot = self._slots.find(item_id) if item_filter.covers(item) else None
            if slot is not None and (condition is None or not self.refutes(condition, slot)):
                yield slot

    def _refutes(self, part: Condition, slot: int) -> bool:
        verdict = self._verdict(part, slot)
        return verdict is False or (verdict is None and not part.asked_names)

    def _verdict(self, condition: Condition, slot: int) -> bool | None:
        key = (condition, slot)
        if key not in self._verdicts:
            if len(self._verdicts) >= _REMEMBERED_VERDICTS:
                self._verdicts.clear()
            self._verdicts[key] = condition.verdict(self.values_at(slot, condition.item_names))
        return self._verdicts[key]

    def _first_covered(self, item_filter: ItemFilter, condition: Condition | None) -> Iterator[int]:
        count = 0
        for slot, item in self._ordered():
            if item_filter.covers(item) and (condition is None or not self.refutes(condition, slot)):
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
