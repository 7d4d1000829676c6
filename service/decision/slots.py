"""Dense numbers for every item that can be shown: the rows of the model first, then what only offers name."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import Vocabulary
from service.decision.reasons import ReasonCode, SingleReasons


class Slots:
    """Maps item ids to slots and back; append-only, so that snapshots of one model may share it.

    Slots 0 … row_count - 1 are the rows of the model. ``ids`` gives the id of each slot; ``bought_before``, ``bought``
    and ``viewed`` the reasons that rest on its item alone.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.row_count = len(vocabulary)
        self.ids = list(vocabulary)
        self._extra_slots: dict[str, int] = {}
        self.bought_before = SingleReasons(ReasonCode.BOUGHT_BEFORE, self.ids)
        self.bought = SingleReasons(ReasonCode.BOUGHT, self.ids)
        self.viewed = SingleReasons(ReasonCode.VIEWED, self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, item_id: str) -> int | None:
        """Give the slot of an item, or None for an item that neither the model nor the catalogue ever named."""
        row = self.vocabulary.row_of(item_id)
        return row if row is not None else self._extra_slots.get(item_id)

    def find_all(self, item_ids: Iterable[str]) -> set[int]:
        """Give the slots of those items that have one."""
        return {slot for item_id in item_ids if (slot := self.find(item_id)) is not None}

    def id_of(self, slot: int) -> str:
        """Give the id of a slot. IndexError when there is no such slot."""
        return self.ids[slot]

    def assign(self, item_ids: Iterable[str]) -> NDArray[np.uint32]:
        """Give the slots of items, shape (n,), appending slots for those that have none."""
        return np.fromiter((self._slot_for(item_id) for item_id in item_ids), dtype=np.uint32)

    def _slot_for(self, item_id: str) -> int:
        slot = self.find(item_id)
        if slot is None:
            slot = len(self.ids)
            self.ids.append(item_id)
            self._extra_slots[item_id] = slot
        return slot
