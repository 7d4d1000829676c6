"""How often items meet in one history, degrees taken out: what all linear item models are learned from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

MAXIMAL_PAIRS = 100_000_000
"""Pairs of items that are held, 8 bytes each; histories are thinned where there would be more."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """Holds a matrix with the degrees taken out, and the degrees.

    ``matrix`` (customers, items) float32 is D_u^-a · R · D_i^-b; ``item_degrees`` (items,) float32 are the sums of the
    columns of R, 1 where there is nothing.
    """

    matrix: csr_matrix
    item_degrees: NDArray[np.float32]


def normalise(matrix: csr_matrix, customer_exponent: float, item_exponent: float) -> Normalised:
    """Divide each cell by the powers of its customer's and its item's degree.

    With the exponents .5 and .5 this is the symmetric normalisation of a bipartite graph; others suit shops better.
    """
    lengths = np.diff(matrix.indptr)
    owners = np.repeat(np.arange(matrix.shape[0]), lengths)
    customer_degrees = _degrees(owners, matrix.data, matrix.shape[0])
    item_degrees = _degrees(matrix.indices, matrix.data, matrix.shape[1])
    data = matrix.data * np.repeat(customer_degrees ** np.float32(-customer_exponent), lengths)
    data *= (item_degrees ** np.float32(-item_exponent))[matrix.indices]
    return Normalised(csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape), item_degrees)


def count_pairs(matrix: csr_matrix) -> csr_matrix:
    """Multiply a matrix (customers, items) with itself: RᵀR (items, items) float32, columns ascending in each row."""
    pairs: csr_matrix = (matrix.T.tocsr() @ matrix).tocsr()
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


def _degrees(rows: NDArray[np.integer], values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    sums = np.bincount(rows, weights=values, minlength=count)
    return np.where(sums > 0, sums, 1).astype(np.float32)
