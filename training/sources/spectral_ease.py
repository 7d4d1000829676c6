"""Spectral EASE: EASE in the space of the strongest singular vectors, which reach beyond what items meet directly."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from training.sources.item_pairs import degrees_of, scaled

_COLUMNS_PER_PIECE = 128
_OVERSAMPLING = 32
_SWEEPS = 2


@dataclass(frozen=True, slots=True)
class SpectralEaseSettings:
    """Says how far degrees count, how many singular vectors are kept, and λ as a share of the largest eigenvalue.

    ``proposed_exponent`` gives popularity to the items proposed.
    """

    customer_exponent: float = 0.6
    item_exponent: float = 0.25
    proposed_exponent: float = 0.0
    regularization: float = 0.03
    rank: int = 768


@dataclass(frozen=True, slots=True)
class SpectralEase:
    """Scores with history · ``inputs`` · ``outputs``ᵀ, both (items, rank) float32; no item speaks for itself.

    ``own`` (items,) float32 is the diagonal of that product, which is taken out again.
    """

    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]
    own: NDArray[np.float32]

    def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
        """Project the histories and compare with every item."""
        del customer_rows
        scores: NDArray[np.float32] = (histories @ self.inputs) @ self.outputs.T
        owners = np.repeat(np.arange(histories.shape[0]), np.diff(histories.indptr))
        scores[owners, histories.indices] -= histories.data * self.own[histories.indices]
        return scores


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Holds the strongest eigenvalues of R̃ᵀR̃, falling, their vectors (items, rank), and the degrees of the items."""

    values: NDArray[np.float32]
    vectors: NDArray[np.float32]
    item_degrees: NDArray[np.float32]

    def ease(self, settings: SpectralEaseSettings) -> SpectralEase:
        """Take EASE's solution, B = I - P / diag(P) with P = (G + λI)^-1, on these eigenvectors of G alone.

        With G ≈ VΛVᵀ the weights are VhVᵀ, h = Λ / (Λ + λ), each column divided by 1 - its diagonal (Steck 2019).
        """
        ridge = settings.regularization * max(float(self.values.max(initial=0)), 1e-12)
        kept = self.values / (self.values + np.float32(ridge))
        shrunk = self.vectors * kept
        diagonal = np.einsum("ij,ij->i", self.vectors, shrunk)
        by_column = self.item_degrees ** np.float32(settings.proposed_exponent) / (1 - diagonal)
        by_row = self.item_degrees ** np.float32(-settings.item_exponent)
        return SpectralEase(
            shrunk * by_row[:, np.newaxis], self.vectors * by_column[:, np.newaxis], diagonal * by_row * by_column
        )


def find_spectrum(matrix: csr_matrix, settings: SpectralEaseSettings, seed: int, threads: int) -> Spectrum:
    """Find the spectrum of a matrix (customers, items), no cell below 0, with R̃ = D_u^-a/2 · R · D_i^-b."""
    customers, items = degrees_of(matrix)
    by_customer = customers ** np.float32(-settings.customer_exponent / 2)
    normalised = scaled(matrix, by_customer, items ** np.float32(-settings.item_exponent))
    return Spectrum(*strongest_eigenvectors(normalised, settings.rank, seed, threads), items)


def learn_spectral_ease(matrix: csr_matrix, settings: SpectralEaseSettings, seed: int, threads: int) -> SpectralEase:
    """Find the spectrum and take EASE's solution on it."""
    return find_spectrum(matrix, settings, seed, threads).ease(settings)


def strongest_eigenvectors(
    matrix: csr_matrix, rank: int, seed: int, threads: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find the largest eigenvalues of RᵀR, falling, and their vectors (items, rank), by randomised subspace iteration.

    After Halko, Martinsson and Tropp 2011, algorithm 4.4. No more vectors than the matrix has rows or columns.
    """
    rank = min(rank, *matrix.shape)
    width = min(rank + _OVERSAMPLING, *matrix.shape)
    transposed = matrix.T.tocsr()
    space = np.random.default_rng(seed).standard_normal((matrix.shape[1], width), dtype=np.float32)
    # One BLAS thread: sums in another order would give other bytes on another number of threads.
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        for _ in range(_SWEEPS):
            space, _ = np.linalg.qr(_product(transposed, _product(matrix, space, pool), pool))
        seen = _product(matrix, space, pool)
        values, turn = np.linalg.eigh(seen.T @ seen)
        strongest = np.arange(width)[::-1][:rank]
        return np.maximum(values[strongest], 0), space @ turn[:, strongest]


def _product(matrix: csr_matrix, dense: NDArray[np.float32], pool: ThreadPoolExecutor) -> NDArray[np.float32]:
    """Multiply, some columns per thread; each column's sums stay in their order."""
    columns = range(0, dense.shape[1], _COLUMNS_PER_PIECE)
    pieces = (np.ascontiguousarray(dense[:, first : first + _COLUMNS_PER_PIECE]) for first in columns)
    return np.concatenate(list(pool.map(matrix.__matmul__, pieces)), axis=1)
