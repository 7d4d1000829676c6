"""Which part of what was bought a measure looks at: all, what is new to the customer, rebuys, new items and so on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.chunk import Chunk
from training.features import BOUGHT, NEW, VIEWED
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


def split_metric(name: str) -> tuple[str, str]:
    """Take ``scope:measure`` apart; a measure alone is over all that was bought."""
    scope, _, measured = name.rpartition(":")
    return scope or ALL, measured


_ACTIVITY = ((0, 0, "bought-0"), (1, 9, "bought-1-9"), (10, 49, "bought-10-49"), (50, 2**31, "bought-50-or-more"))


@dataclass(frozen=True, slots=True)
class History:
    """Holds what n customers had met before the cut: pairs sorted by owner and item, each once, and whether bought."""

    owners: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    bought: NDArray[np.bool_]

    def groups(self, owners: NDArray[np.int64], item_rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Tell for pairs whether the customer had bought the item, only looked at it, or neither."""
        if len(self.owners) == 0:
            return np.full(len(owners), NEW, dtype=np.uint8)
        known = (self.owners << 32) | self.item_rows
        wanted = (owners << 32) | item_rows
        position = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        met = np.where(self.bought[position], BOUGHT, VIEWED)
        return np.where(known[position] == wanted, met, NEW).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Judged:
    """Holds the labels of n customers with what narrows them: their histories, and which items are young, (items,)."""

    labels: Labels
    history: History
    young: NDArray[np.bool_]

    def labels_in(self, scope: Scope) -> Labels:
        """Keep the labels of a scope."""
        return self.labels.where(self._within(scope, self.labels.owners, self.labels.item_rows))

    def lists_in(self, scope: Scope, lists: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keep of lists (n, k) what is in a scope, the rest moving up."""
        if scope.name == ALL:
            return lists
        owners = np.broadcast_to(np.arange(self.labels.customers)[:, np.newaxis], lists.shape)
        kept = self._within(scope, owners.ravel(), lists.ravel()).reshape(lists.shape) & (lists != NOTHING)
        order = np.argsort(~kept, axis=1, kind="stable")
        return np.take_along_axis(np.where(kept, lists, NOTHING), order, axis=1)

    def activity(self) -> Sequence[tuple[str, NDArray[np.bool_]]]:
        """Tell who had bought how many items before: the bands with any customer, and their members (n,)."""
        bought = np.bincount(self.history.owners[self.history.bought], minlength=self.labels.customers)
        bands = [(band, (bought >= least) & (bought <= most)) for least, most, band in _ACTIVITY]
        return [(band, members) for band, members in bands if members.any()]

    def _within(self, scope: Scope, owners: NDArray[np.int64], item_rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        within: NDArray[np.bool_] = np.isin(self.history.groups(owners, item_rows), list(scope.groups))
        return within & self.young[item_rows] if scope.young_items else within


def judged_of(labels: Labels, chunk: Chunk) -> Judged:
    """Take the histories and the young items out of what was known before the cut."""
    interactions = chunk.interactions
    history = History(chunk.owners, chunk.item_rows, interactions.purchases[chunk.cells] > 0)
    young = (interactions.new_buyers > 0) & (interactions.new_buyers >= interactions.buyers())
    return Judged(labels, history, young)
