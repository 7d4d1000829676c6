"""Local EASE: one ridge regression per item on the items it meets most, solved in batches."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, triu
from threadpoolctl import threadpool_limits

from training.sources.item_pairs import count_pairs, degrees_of, scaled, thin
from training.sources.item_weights import ItemWeights

_ITEMS_PER_BATCH = 256


@dataclass(frozen=True, slots=True)
class LocalEaseSettings:
    """Says how far degrees count, what λ is in mean diagonals of G, and how many neighbours may speak for an item.

    ``proposed_exponent`` gives popularity back to the items proposed; with ``item_exponent`` all of it would come back.
    """

    customer_exponent: float = 0.4
    item_exponent: float = 0.25
    proposed_exponent: float = 0.15
    regularization: float = 10.0
    neighbors: int = 100


def learn_local_ease(
    matrix: csr_matrix,
    settings: LocalEaseSettings,
    seed: int,
    threads: int,
    targets: csr_matrix | None = None,
) -> ItemWeights:
    """Foresee each item's column from its neighbours' columns: EASE (Steck 2019) where only the nearest items speak.

    ``matrix`` is R, ``targets`` T, both (customers, items) with no cell below 0: what is foreseen from R, R itself when
    None; where a column of T is empty, nothing is learned. With R̃ = D_u^-a/2 · R · D_i^-b, T̃ alike and G = R̃ᵀR̃, item
    j's weights solve (G_NN + λI) w = (R̃ᵀT̃)_Nj, N the largest of that column. The work grows linearly with the
    catalogue, that of EASE with its cube.
    """
    known = thin(matrix, seed)
    # Rare items first: each pair is then held at the rarer one, and no row of the upper half is long.
    order = np.argsort(np.bincount(known.indices, minlength=known.shape[1]), kind="stable")
    customers, items = degrees_of(known)
    by_customer, by_item = (
        customers ** np.float32(-settings.customer_exponent / 2),
        items ** np.float32(-settings.item_exponent),
    )
    inputs = scaled(known, by_customer, by_item)[:, order]
    pairs = count_pairs(inputs, inputs)
    wanted, crossed = items, pairs
    if targets is not None:
        wanted = degrees_of(targets)[1]
        crossed = count_pairs(
            scaled(targets, by_customer, wanted ** np.float32(-settings.item_exponent))[:, order], inputs
        )
    weights = _Regressions.of(pairs, crossed, settings).solve_all(threads)
    back = np.argsort(order)
    return ItemWeights(scaled(weights[back][:, back], by_item, wanted ** np.float32(settings.proposed_exponent)))


@dataclass(frozen=True, slots=True)
class _Regressions:
    """Holds what all regressions need: the upper half of G, its diagonal with the ridge on it, and T̃ᵀR̃."""

    upper: csr_matrix
    diagonal: NDArray[np.float32]
    crossed: csr_matrix
    neighbors: int

    @classmethod
    def of(cls, pairs: csr_matrix, crossed: csr_matrix, settings: LocalEaseSettings) -> "_Regressions":
        diagonal = pairs.diagonal()
        known = max(int((diagonal > 0).sum()), 1)
        ridge = np.float32(settings.regularization * diagonal.sum(dtype=np.float64) / known)
        return cls(triu(pairs, 1, format="csr"), diagonal + ridge, crossed, settings.neighbors)

    def solve_all(self, threads: int) -> csr_matrix:
        """Give the weights (items, items), row: the neighbour that speaks, column: the item foreseen."""
        items = np.flatnonzero(np.diff(self.crossed.indptr))
        batches = [items[first : first + _ITEMS_PER_BATCH] for first in range(0, len(items), _ITEMS_PER_BATCH)]
        with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            solved = list(pool.map(self.solve, batches))
        nothing = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        rows, columns, values = (np.concatenate(parts) for parts in zip(nothing, *solved, strict=True))
        return csr_matrix((values, (rows, columns)), shape=self.crossed.shape)

    def solve(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Give the weights of some items: neighbour, item and weight, aligned."""
        shape = (len(items), self.neighbors)
        nearest, targets = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=np.float32)
        systems = np.zeros((*shape, self.neighbors), dtype=np.float32)
        for place, item in enumerate(items.tolist()):
            near, values = self._nearest(item)
            count = len(near)
            nearest[place, :count], targets[place, :count] = near, values
            systems[place, :count, :count] = self.upper[near][:, near].toarray()
        systems += systems.transpose(0, 2, 1)
        diagonal = np.arange(self.neighbors)
        systems[:, diagonal, diagonal] = np.where(nearest >= 0, self.diagonal[nearest], 1)
        weights = np.linalg.solve(systems, targets[:, :, np.newaxis])[:, :, 0]
        owners, places = np.nonzero(nearest >= 0)
        return nearest[owners, places], items[owners], weights[owners, places]

    def _nearest(self, item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Give the rows that the item meets most, ascending, and how much."""
        row = slice(self.crossed.indptr[item], self.crossed.indptr[item + 1])
        near, values = self.crossed.indices[row], self.crossed.data[row]
        others = np.flatnonzero(near != item)
        if len(others) > self.neighbors:
            largest = np.argpartition(values[others], len(others) - self.neighbors)[-self.neighbors :]
            others = np.sort(others[largest])
        return near[others].astype(np.int64), values[others]
