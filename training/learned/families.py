"""Families of items at a moment: what a customer has bought of an item's family, and what part in it the item has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.attributes import NO_FAMILY
from training.learned.pairs import NEVER, Pairs
from training.learned.traits import ITEM_TRAITS

FAMILY_FEATURES = (
    "family-others",
    "family-share",
    "family-since",
    "family-items",
    "family-new",
    "family-recent-part",
    "family-new-part",
)
"""Of the customer in the family: decayed count of the other items, share of all, days since, items; the family's new
buyers, and the item's part of its recent and of its new buyers. All 0 where the family is unknown."""

_SLOW = 2  # of HALF_LIVES


@dataclass(frozen=True, slots=True)
class Families:
    """Holds what was bought of families before a cut.

    ``of_items`` (items,) int64 numbers families, NO_FAMILY where unknown, ``size`` of them. ``keys`` (k,) are customer
    times size plus family, ascending; ``decayed``, ``last_age`` in days and ``items`` (k,) float32 belong to them.
    ``totals`` (customers,) adds up what a customer bought, decayed. ``parts`` (items, 3) float32 are the last features.
    """

    of_items: NDArray[np.int64]
    size: int
    keys: NDArray[np.int64]
    decayed: NDArray[np.float32]
    last_age: NDArray[np.float32]
    items: NDArray[np.float32]
    totals: NDArray[np.float32]
    parts: NDArray[np.float32]

    def describe(
        self, customers: NDArray[np.int64], items: NDArray[np.int64], own: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Describe pairs of rows, all (c,), as (c, len(FAMILY_FEATURES)); ``own`` is the item's decayed count."""
        features = np.zeros((len(items), len(FAMILY_FEATURES)), dtype=np.float32)
        family = self.of_items[items]
        known = family != NO_FAMILY
        if not known.any():
            return features
        features[known, 4:] = self.parts[items[known]]
        features[known, 2] = np.log1p(NEVER)
        if len(self.keys) == 0:
            return features
        wanted = customers * self.size + family
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        met = np.flatnonzero(known & (self.keys[place] == wanted))
        at = place[met]
        features[met, 0] = np.log1p(np.maximum(self.decayed[at] - own[met], 0))
        features[met, 1] = self.decayed[at] / np.maximum(self.totals[customers[met]], np.float32(1e-6))
        features[met, 2] = np.log1p(self.last_age[at])
        features[met, 3] = np.log1p(self.items[at])
        return features


def families_at(pairs: Pairs, traits: NDArray[np.float32], of_items: NDArray[np.int64]) -> Families:
    """Add up pairs by family; ``traits`` (items, len(ITEM_TRAITS)) are those of the same moment."""
    size = int(of_items.max(initial=NO_FAMILY)) + 1
    customers = np.repeat(np.arange(len(pairs.starts) - 1), np.diff(pairs.starts))
    slow = pairs.decayed[:, _SLOW]
    bought = np.flatnonzero((pairs.count > 0) & (of_items[pairs.item] != NO_FAMILY))
    keys, where = np.unique(customers[bought] * size + of_items[pairs.item[bought]], return_inverse=True)
    last_age = np.full(len(keys), NEVER, dtype=np.float32)
    np.minimum.at(last_age, where, pairs.last_age[bought])
    return Families(
        of_items,
        size,
        keys,
        np.bincount(where, slow[bought], len(keys)).astype(np.float32),
        last_age,
        np.bincount(where, minlength=len(keys)).astype(np.float32),
        np.bincount(customers, slow, len(pairs.starts) - 1).astype(np.float32),
        _parts(traits, of_items, size),
    )


def _parts(traits: NDArray[np.float32], of_items: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """Give per item the family's new buyers, and what part of its recent and of its new buyers the item has."""
    known = of_items != NO_FAMILY
    parts = np.zeros((len(of_items), 3), dtype=np.float32)
    families = of_items[known]
    for place, trait in ((1, "item-recent-buyers"), (2, "item-new-buyers")):
        buyers = np.expm1(traits[known, ITEM_TRAITS.index(trait)])
        together = np.bincount(families, buyers, size)[families]
        parts[known, place] = buyers / np.maximum(together, 1)
        parts[known, 0] = np.log1p(together)
    return parts
