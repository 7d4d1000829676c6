"""Local EASE: one ridge regression per item on the items it meets most, solved in batches."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, triu
from threadpoolctl import threadpool_limits

from training.sources.item_pairs import count_pairs, normalise, thin
from training.sources.item_weights import ItemWeights, scale

_ITEMS_PER_BATCH = 256


@dataclass(frozen=True, slots=True)
class LocalEaseSettings:
    """Says how far degrees count, what λ is in mean diagonals of G, and how many neighbours may speak for an item.

    ``proposed_exponent`` gives popularity back to the items proposed; with ``item_exponent`` all of it would come back.
    """

    customer_exponent: float = 0.6
    item_exponent: float = 0.25
    proposed_exponent: float = 0.15
    regularization: float = 10.0
    neighbors: int = 100


def learn_local_ease(
    matrix: csr_matrix,
    settings: LocalEaseSettings,
    seed: int,
    threads: int,
    proposed: NDArray[np.bool_] | None = None,
) -> ItemWeights:
    """Foresee each item's column from its neighbours' columns: EASE (Steck 2019) where only the nearest items speak.

    ``matrix`` (customers, items), no cell below 0. With R̃ = D_u^-a/2 · R · D_i^-b and G = R̃ᵀR̃, item j's weights solve
    (G_NN + λI) w = G_Nj, N its largest cells of G. The work grows linearly with the catalogue, that of EASE with its
    cube. ``proposed`` (items,) tells which items to learn; the others get no weights. None: all.
    """
    normalised = normalise(thin(matrix, seed), settings.customer_exponent / 2, settings.item_exponent)
    # Rare items first: each pair is then held at the rarer one, and no row of the upper half is long.
    order = np.argsort(np.bincount(matrix.indices, minlength=matrix.shape[1]), kind="stable")
    regressions = _Regressions.over(normalised.matrix[:, order], settings)
    wanted = np.arange(len(order)) if proposed is None else np.flatnonzero(proposed[order])
    batches = [wanted[first : first + _ITEMS_PER_BATCH] for first in range(0, len(wanted), _ITEMS_PER_BATCH)]
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        solved = list(pool.map(regressions.solve, batches))
    rows, columns = (order[np.concatenate([part[place] for part in solved])] for place in (0, 1))
    values = np.concatenate([part[2] for part in solved])
    weights = csr_matrix((values, (rows, columns)), shape=(len(order), len(order)))
    degrees = normalised.item_degrees
    by_row, by_column = (
        degrees ** np.float32(-settings.item_exponent),
        degrees ** np.float32(settings.proposed_exponent),
    )
    return ItemWeights(scale(weights, by_row, by_column))


@dataclass(frozen=True, slots=True)
class _Regressions:
    """Holds G: all of it, its upper half, its diagonal, and the ridge on that."""

    pairs: csr_matrix
    upper: csr_matrix
    diagonal: NDArray[np.float32]
    ridge: np.float32
    neighbors: int

    @classmethod
    def over(cls, matrix: csr_matrix, settings: LocalEaseSettings) -> "_Regressions":
        pairs = count_pairs(matrix)
        diagonal = pairs.diagonal()
        known = max(int((diagonal > 0).sum()), 1)
        ridge = np.float32(settings.regularization * diagonal.sum(dtype=np.float64) / known)
        return cls(pairs, triu(pairs, 1, format="csr"), diagonal, ridge, settings.neighbors)

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
        systems[:, diagonal, diagonal] = np.where(nearest >= 0, self.diagonal[nearest] + self.ridge, 1)
        weights = np.linalg.solve(systems, targets[:, :, np.newaxis])[:, :, 0]
        owners, places = np.nonzero(nearest >= 0)
        return nearest[owners, places], items[owners], weights[owners, places]

    def _nearest(self, item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Give the rows that the item meets most, ascending, and how much."""
        row = slice(self.pairs.indptr[item], self.pairs.indptr[item + 1])
        near, values = self.pairs.indices[row], self.pairs.data[row]
        others = np.flatnonzero(near != item)
        if len(others) > self.neighbors:
            largest = np.argpartition(values[others], len(others) - self.neighbors)[-self.neighbors :]
            others = np.sort(others[largest])
        return near[others].astype(np.int64), values[others]
