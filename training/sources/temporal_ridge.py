"""Temporal ridge: what customers buy for the first time, foreseen from what they had bought before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.sources.item_pairs import degrees_of, scaled
from training.sources.item_weights import ItemWeights

_ITEMS_PER_BATCH = 256


@dataclass(frozen=True, slots=True)
class TemporalRidgeSettings:
    """Says how far degrees count, what λ is in mean diagonals of G, and how many items may speak for an item."""

    item_exponent: float = 0.25
    regularization: float = 30.0
    neighbors: int = 50


def learn_temporal_ridge(histories: csr_matrix, targets: csr_matrix, settings: TemporalRidgeSettings) -> ItemWeights:
    """Foresee columns of ``targets`` from those of ``histories``, both (customers, items) and row by row of one moment.

    With X = histories · D_i^-b and G = XᵀX, item j's weights solve (G_NN + λI) w = (Xᵀ targets)_Nj, N its largest cells
    there. Unlike an autoencoder's, the weights know what comes first.
    """
    customers, items = degrees_of(histories)
    by_item = items ** np.float32(-settings.item_exponent)
    inputs = scaled(histories, np.ones_like(customers), by_item)
    inner, across = _product(inputs, inputs), _product(inputs, targets)
    diagonal = np.diagonal(inner)
    ridge = settings.regularization * float(diagonal.sum(dtype=np.float64)) / max(int((diagonal > 0).sum()), 1)
    weights = _solve(inner, across, np.float32(max(ridge, 1e-6)), min(settings.neighbors, len(inner)))
    return ItemWeights(scaled(weights, by_item, np.ones_like(by_item)))


def _solve(inner: NDArray[np.float32], across: NDArray[np.float32], ridge: np.float32, count: int) -> csr_matrix:
    size = len(inner)
    rows, values = np.empty((size, count), dtype=np.int64), np.empty((size, count), dtype=np.float32)
    lifted = ridge * np.eye(count, dtype=np.float32)
    for start in range(0, size, _ITEMS_PER_BATCH):
        batch = slice(start, start + _ITEMS_PER_BATCH)
        wanted = across[:, batch].T
        near = np.sort(np.argpartition(-wanted, count - 1, axis=1)[:, :count], axis=1)
        wanted = np.take_along_axis(wanted, near, axis=1)
        # Whole rows first: single cells of a matrix beyond the processor's cache cost several times as much.
        systems = np.stack([inner[chosen].take(chosen, axis=1) for chosen in near]) + lifted
        rows[batch], values[batch] = near, np.linalg.solve(systems, wanted[:, :, np.newaxis])[:, :, 0] * (wanted > 0)
    columns = np.repeat(np.arange(size), count)
    weights = csr_matrix((values.ravel(), (rows.ravel(), columns)), shape=(size, size))
    weights.eliminate_zeros()
    return weights


def _product(left: csr_matrix, right: csr_matrix) -> NDArray[np.float32]:
    """Give leftᵀ right, dense: with some thousand items it is nearly full."""
    turned = left.T.tocsr()
    product = np.empty((left.shape[1], right.shape[1]), dtype=np.float32)
    for start in range(0, len(product), _ITEMS_PER_BATCH):
        product[start : start + _ITEMS_PER_BATCH] = (turned[start : start + _ITEMS_PER_BATCH] @ right).toarray()
    return product
