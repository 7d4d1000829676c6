"""The histories of some customers, laid out for vectorised work."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.interactions import Interactions

LARGEST_CHUNK = 1024
"""Customers that may be united at once: what packed sort keys leave room for."""

_MAXIMAL_PACKED = 2**22


@dataclass(frozen=True, slots=True)
class Chunk:
    """Holds the cells of n customers.

    ``owners`` (c,) ascends through 0 … n-1; ``cells`` (c,) point into the interactions.
    ``customer_rows`` (n,) are the customers' rows. A customer without a history owns no cell.
    """

    interactions: Interactions
    customer_rows: NDArray[np.int64]
    owners: NDArray[np.int64]
    cells: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.customer_rows)

    @property
    def item_rows(self) -> NDArray[np.int64]:
        """Give the item row of every cell; ascending within one owner."""
        return self.interactions.matrix.indices[self.cells].astype(np.int64)

    @property
    def weights(self) -> NDArray[np.float32]:
        """Give the decayed weight of every cell."""
        return self.interactions.weights_at(self.cells)

    def sum_per_customer(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add values of cells up, (n,) float32."""
        return np.bincount(self.owners, weights=values, minlength=len(self)).astype(np.float32)


def chunk_of(interactions: Interactions, customer_rows: NDArray[np.int64]) -> Chunk:
    """Take the histories of these customers out of the interactions."""
    starts = interactions.matrix.indptr[customer_rows].astype(np.int64)
    lengths = interactions.matrix.indptr[customer_rows + 1].astype(np.int64) - starts
    owners = np.repeat(np.arange(len(customer_rows)), lengths)
    offsets = np.cumsum(lengths) - lengths
    cells = np.arange(len(owners)) + np.repeat(starts - offsets, lengths)
    return Chunk(interactions, customer_rows, owners, cells)


def best_per_owner(
    owners: NDArray[np.int64], values: NDArray[np.float32], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Choose each owner's ``width`` highest values; equal ones in the order they stand.

    ``owners`` ascend. Gives three aligned arrays: where each chosen value stands, its owner, its 0-based place.
    """
    order = falling_order(owners, values)
    counts = np.bincount(owners) if len(owners) else np.empty(0, dtype=np.int64)
    places = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = places < width
    return order[kept], owners[kept], places[kept]


def falling_order(owners: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Give the order by owner, then by falling value; equal ones as they stand. ``owners`` ascend."""
    falling = ~_ascending_bits(values)
    if len(owners) > _MAXIMAL_PACKED or (len(owners) and owners[-1] >= LARGEST_CHUNK):
        return np.lexsort((falling, owners))
    # One integer holds owner, falling value and position: sorting integers is several times faster than lexsort.
    keys = owners.astype(np.uint64) << np.uint64(54)
    keys |= falling.astype(np.uint64) << np.uint64(22)
    keys |= np.arange(len(keys), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(_MAXIMAL_PACKED - 1)).astype(np.int64)


def _ascending_bits(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Map finite floats to integers of the same order."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(0x8000_0000))
