"""Which part of what was bought a measure looks at: all, what is new to the customer, rebuys, new items and so on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.chunk import Chunk
from training.features import BOUGHT, NEW, VIEWED, find_cells
from training.metrics import Labels
from training.sources.source import NOTHING


@dataclass(frozen=True, slots=True)
class Scope:
    """Keeps labels and listed items of some groups, by what the customer had done with them before the cut.

    With ``young_items`` only items that nobody had bought before the window of what is popular now.
    """

    name: str
    groups: Sequence[int] = (BOUGHT, VIEWED, NEW)
    young_items: bool = False


ALL, NEW_TO_CUSTOMER, REBUY, SEEN, NOVEL, NEW_ITEMS = (
    "all",
    "new-to-customer",
    "rebuy",
    "seen",
    "novel",
    "new-items",
)
SCOPES = (
    Scope(ALL),
    Scope(NEW_TO_CUSTOMER, (VIEWED, NEW)),
    Scope(REBUY, (BOUGHT,)),
    Scope(SEEN, (VIEWED,)),
    Scope(NOVEL, (NEW,)),
    Scope(NEW_ITEMS, young_items=True),
)

_ACTIVITY = ((0, 0, "bought-0"), (1, 9, "bought-1-9"), (10, 49, "bought-10-49"), (50, 2**31, "bought-50-or-more"))


@dataclass(frozen=True, slots=True)
class Judged:
    """Holds the labels of some customers with what narrows them: their histories, and which items are young."""

    labels: Labels
    chunk: Chunk
    young: NDArray[np.bool_]

    def labels_in(self, scope: Scope) -> Labels:
        """Keep the labels of a scope."""
        return self.labels.where(self._within(scope, self.labels.owners, self.labels.item_rows))

    def lists_in(self, scope: Scope, lists: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keep of lists (n, k) what is in a scope, the rest moving up."""
        if scope.name == ALL:
            return lists
        owners = np.broadcast_to(np.arange(len(self.chunk))[:, np.newaxis], lists.shape)
        kept = self._within(scope, owners.ravel(), lists.ravel()).reshape(lists.shape) & (lists != NOTHING)
        order = np.argsort(~kept, axis=1, kind="stable")
        return np.take_along_axis(np.where(kept, lists, NOTHING), order, axis=1)

    def activity(self) -> Sequence[tuple[str, NDArray[np.bool_]]]:
        """Tell who had bought how much before: the bands with any customer, and their members (n,)."""
        purchases = self.chunk.interactions.purchases[self.chunk.cells]
        bought = np.bincount(self.chunk.owners[purchases > 0], minlength=len(self.chunk))
        bands = [(band, (bought >= least) & (bought <= most)) for least, most, band in _ACTIVITY]
        return [(band, members) for band, members in bands if members.any()]

    def _within(self, scope: Scope, owners: NDArray[np.int64], item_rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        groups = groups_of(self.chunk, owners, item_rows)
        within: NDArray[np.bool_] = np.isin(groups, list(scope.groups))
        return within & self.young[item_rows] if scope.young_items else within


def groups_of(chunk: Chunk, owners: NDArray[np.int64], item_rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Tell for pairs whether the customer had bought the item before the cut, only looked at it, or neither."""
    cells = find_cells(chunk, owners, item_rows)
    bought = np.append(chunk.interactions.purchases > 0, False)[cells]
    return np.where(cells == NOTHING, NEW, np.where(bought, BOUGHT, VIEWED)).astype(np.uint8)


def young_items(chunk: Chunk) -> NDArray[np.bool_]:
    """Tell which items were bought for the first time within the window of what is popular now, (items,)."""
    interactions = chunk.interactions
    young: NDArray[np.bool_] = (interactions.new_buyers > 0) & (interactions.new_buyers >= interactions.buyers())
    return young
