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
    return Meetings.of(matrix, settings.customer_exponent, seed, targets).ease(settings, threads)


@dataclass(frozen=True, slots=True)
class Meetings:
    """Holds how often items meet, by customers that weigh D_u^-a: all that a fit needs, whatever its other settings.

    Everything stands in ``order`` (items,), rare items first: each pair is then held at the rarer one, and no row of
    the upper half is long. ``upper`` and ``diagonal`` are RᵀD_u^-aR, ``crossed`` is TᵀD_u^-aR, all (items, items);
    ``degrees`` and ``wanted`` (items,) are those of R and T.
    """

    order: NDArray[np.int64]
    upper: csr_matrix
    diagonal: NDArray[np.float32]
    crossed: csr_matrix
    degrees: NDArray[np.float32]
    wanted: NDArray[np.float32]

    @classmethod
    def of(
        cls, matrix: csr_matrix, customer_exponent: float, seed: int, targets: csr_matrix | None = None
    ) -> "Meetings":
        """Count them in R and, if they are others, in the targets T; see :func:`learn_local_ease`."""
        known = thin(matrix, seed)
        order = np.argsort(np.bincount(known.indices, minlength=known.shape[1]), kind="stable")
        customers, items = degrees_of(known)
        by_customer, as_it_is = customers ** np.float32(-customer_exponent / 2), np.ones_like(items)
        inputs = scaled(known, by_customer, as_it_is)[:, order]
        pairs = count_pairs(inputs, inputs)
        wanted, crossed = items, pairs
        if targets is not None:
            wanted = degrees_of(targets)[1]
            crossed = count_pairs(scaled(targets, by_customer, as_it_is)[:, order], inputs)
        upper = triu(pairs, 1, format="csr")
        return cls(order, upper, pairs.diagonal(), crossed, items[order], wanted[order])

    def ease(self, settings: LocalEaseSettings, threads: int) -> ItemWeights:
        """Solve all regressions; of the settings, the customers' exponent is taken as it was counted."""
        regressions = _Regressions.of(self, settings)
        items = np.flatnonzero(np.diff(self.crossed.indptr))
        batches = [items[first : first + _ITEMS_PER_BATCH] for first in range(0, len(items), _ITEMS_PER_BATCH)]
        with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            solved = list(pool.map(regressions.solve, batches))
        nothing = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))
        rows, columns, values = (np.concatenate(parts) for parts in zip(nothing, *solved, strict=True))
        weights = csr_matrix((values, (self.order[rows], self.order[columns])), shape=self.crossed.shape)
        back = np.argsort(self.order)
        by_column = self.wanted ** np.float32(settings.proposed_exponent)
        return ItemWeights(scaled(weights, regressions.by_item[back], by_column[back]))


@dataclass(frozen=True, slots=True)
class _Regressions:
    """Holds what all regressions share: D_i^-b by item and by item foreseen, and the diagonal of G with the ridge."""

    meetings: Meetings
    by_item: NDArray[np.float32]
    by_wanted: NDArray[np.float32]
    diagonal: NDArray[np.float32]
    neighbors: int

    @classmethod
    def of(cls, meetings: Meetings, settings: LocalEaseSettings) -> "_Regressions":
        exponent = np.float32(-settings.item_exponent)
        by_item, by_wanted = meetings.degrees**exponent, meetings.wanted**exponent
        diagonal = meetings.diagonal * by_item * by_item
        known = max(int((diagonal > 0).sum()), 1)
        ridge = np.float32(settings.regularization * diagonal.sum(dtype=np.float64) / known)
        return cls(meetings, by_item, by_wanted, diagonal + ridge, settings.neighbors)

    def solve(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Give the weights of some items, aligned: the neighbour that speaks, the item foreseen, the weight."""
        shape = (len(items), self.neighbors)
        nearest, targets = np.full(shape, -1, dtype=np.int64), np.zeros(shape, dtype=np.float32)
        systems = np.zeros((*shape, self.neighbors), dtype=np.float32)
        for place, item in enumerate(items.tolist()):
            near, values = self._nearest(item)
            count = len(near)
            nearest[place, :count], targets[place, :count] = near, values
            systems[place, :count, :count] = self.meetings.upper[near][:, near].toarray()
        scales = self.by_item[nearest]
        systems *= scales[:, :, np.newaxis]
        systems *= scales[:, np.newaxis, :]
        systems += systems.transpose(0, 2, 1)
        diagonal = np.arange(self.neighbors)
        systems[:, diagonal, diagonal] = np.where(nearest >= 0, self.diagonal[nearest], 1)
        weights = np.linalg.solve(systems, targets[:, :, np.newaxis])[:, :, 0]
        owners, places = np.nonzero(nearest >= 0)
        return nearest[owners, places], items[owners], weights[owners, places]

    def _nearest(self, item: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Give the items that the item meets most, ascending, and how much, degrees taken out."""
        crossed = self.meetings.crossed
        row = slice(crossed.indptr[item], crossed.indptr[item + 1])
        near = crossed.indices[row]
        values = crossed.data[row] * self.by_item[near] * self.by_wanted[item]
        others = np.flatnonzero(near != item)
        if len(others) > self.neighbors:
            largest = np.argpartition(values[others], len(others) - self.neighbors)[-self.neighbors :]
            others = np.sort(others[largest])
        return near[others].astype(np.int64), values[others]
