"""How often items meet in one history, degrees taken out: what all linear item models are learned from."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

MAXIMAL_PAIRS = 100_000_000
"""Pairs of items that are held, 8 bytes each; histories are thinned where there would be more."""


def degrees_of(matrix: csr_matrix) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add up the rows (customers,) and the columns (items,) of a matrix, 1 where there is nothing."""
    owners = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return _sums(owners, matrix.data, matrix.shape[0]), _sums(matrix.indices, matrix.data, matrix.shape[1])


def scaled(matrix: csr_matrix, by_row: NDArray[np.float32], by_column: NDArray[np.float32]) -> csr_matrix:
    """Multiply rows and columns with factors; the cells stay where they are."""
    data = matrix.data * np.repeat(by_row, np.diff(matrix.indptr))
    data *= by_column[matrix.indices]
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def count_pairs(left: csr_matrix, right: csr_matrix) -> csr_matrix:
    """Multiply two matrices (customers, items): LᵀR (items, items) float32, columns ascending in each row."""
    pairs: csr_matrix = (left.T.tocsr() @ right).tocsr()
    pairs.sort_indices()
    return pairs


def thin(matrix: csr_matrix, seed: int) -> csr_matrix:
    """Leave out cells of the longest histories, drawn with the seed, until no more than MAXIMAL_PAIRS can arise.

    A history of n items tells of n² pairs, and there are no more than items² different ones.
    """
    lengths = np.diff(matrix.indptr).astype(np.int64)
    if min(int((lengths**2).sum()), matrix.shape[1] ** 2) <= MAXIMAL_PAIRS:
        return matrix
    longest = _longest_within(lengths, MAXIMAL_PAIRS)
    shares = np.repeat(longest / np.maximum(lengths, 1), lengths)
    kept = np.random.default_rng(seed).random(matrix.nnz) < shares
    starts = np.append(0, np.cumsum(kept))[matrix.indptr]
    return csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def _longest_within(lengths: NDArray[np.int64], pairs: int) -> int:
    """Find the longest history allowed so that all of them tell of no more than so many pairs."""
    low, high = 1, int(lengths.max())
    while low < high:
        middle = (low + high + 1) // 2
        fits = int((np.minimum(lengths, middle) ** 2).sum()) <= pairs
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _sums(rows: NDArray[np.integer], values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    sums = np.bincount(rows, weights=values, minlength=count)
    return np.where(sums > 0, sums, 1).astype(np.float32)
