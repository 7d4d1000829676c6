"""Kindred customers: what those with a like history bought lately."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.sources.products import product
from training.sources.scorer import best_of

MAXIMAL_POOL = 10_000
"""Customers that others are compared with; beyond, a seeded sample, so that the work per customer stays bounded."""

_NEAREST = 100


@dataclass(frozen=True, slots=True)
class Kindred:
    """Scores with the mean of the nearest of a pool of customers, by cosine over histories, rare items weighing more.

    ``rows`` (pool,) ascend; ``rarity`` (items,) float32; ``profiles`` (items, pool) have columns of length 1;
    ``lately`` (pool, items) is what they bought last.
    """

    rows: NDArray[np.int64]
    rarity: NDArray[np.float32]
    profiles: csr_matrix
    lately: csr_matrix

    def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
        """Score every item, (n, items); nobody is kin to themselves."""
        if len(self.rows) == 0:
            return np.zeros(histories.shape, dtype=np.float32)
        alike = product(_unit(histories, self.rarity), self.profiles)
        place = np.minimum(np.searchsorted(self.rows, customer_rows), len(self.rows) - 1)
        own = np.flatnonzero(self.rows[place] == customer_rows)
        alike[own, place[own]] = 0
        nearest, weights = best_of(alike, _NEAREST)
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-12))
        starts = np.arange(len(alike) + 1) * nearest.shape[1]
        mixed = csr_matrix((weights.ravel(), nearest.ravel(), starts), shape=alike.shape)
        mixed.sort_indices()
        return product(mixed, self.lately)


def learn_kindred(histories: csr_matrix, lately: csr_matrix, seed: int) -> Kindred:
    """Draw the pool among the customers with a history; both matrices are (customers, items), no cell below 0."""
    rows = np.flatnonzero(np.diff(histories.indptr) > 0)
    if len(rows) > MAXIMAL_POOL:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MAXIMAL_POOL, replace=False))
    pool = histories[rows]
    holders = np.bincount(pool.indices, minlength=pool.shape[1])
    rarity = np.log((len(rows) + 1) / (holders + 0.5)).astype(np.float32)
    return Kindred(rows, rarity, _unit(pool, rarity).T.tocsr(), lately[rows])


def _unit(matrix: csr_matrix, rarity: NDArray[np.float32]) -> csr_matrix:
    data = matrix.data * rarity[matrix.indices]
    owners = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    lengths = np.sqrt(np.bincount(owners, weights=data * data, minlength=matrix.shape[0])).astype(np.float32)
    data /= np.maximum(lengths[owners], np.float32(1e-12))
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)
