"""The degree-normalised linear filter, and what is the same with other exponents: RP3β, cosine and BM25."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from training.sources.item_pairs import count_pairs, normalise, thin
from training.sources.item_weights import ItemWeights, keep_largest, scale

_BM25_DAMPING, _BM25_LENGTHS = 100.0, 0.8


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """Says how far degrees count: 0 not at all, 1 as in the transition probabilities of a random walk."""

    customer_exponent: float = 0.6
    history_exponent: float = 0.6
    proposed_exponent: float = 0.3
    neighbors: int = 4_000


RP3_BETA = FilterSettings(customer_exponent=1.0, history_exponent=1.0, proposed_exponent=0.6)
"""Three steps of a random walk, popularity held back: RP3β (Paudel, Christoffel, Newell and Bernstein 2017)."""

COSINE = FilterSettings(customer_exponent=0.0, history_exponent=0.5, proposed_exponent=0.5)
"""On cells of 0 and 1 the cosine of the items' columns."""


def learn_filter(matrix: csr_matrix, settings: FilterSettings, seed: int) -> ItemWeights:
    """Weigh items by D_i^-b · RᵀD_u^-aR · D_i^-c of a matrix R (customers, items), no cell below 0, without diagonal.

    Only each proposed item's ``neighbors`` largest weights stay (as in Sarwar and others 2001; the exponents as in
    linear graph filters, e.g. Shen and others 2021, GF-CF).
    """
    normalised = normalise(thin(matrix, seed), settings.customer_exponent / 2, 0)
    degrees = normalised.item_degrees
    pairs = count_pairs(normalised.matrix)
    by_row, by_column = (
        degrees ** np.float32(-power) for power in (settings.history_exponent, settings.proposed_exponent)
    )
    return ItemWeights(keep_largest(scale(pairs, by_row, by_column), settings.neighbors))


def learn_bm25(matrix: csr_matrix, neighbors: int, seed: int) -> ItemWeights:
    """Weigh items by the inner product of their columns after Okapi BM25: items as documents, customers as words."""
    return ItemWeights(keep_largest(count_pairs(_bm25(thin(matrix, seed))), neighbors))


def _bm25(matrix: csr_matrix) -> csr_matrix:
    """Weigh cells by how rare the customer's interest is, damped by the item's degree (Robertson and others 1994)."""
    lengths = np.diff(matrix.indptr)
    rarity = np.log(np.maximum(matrix.shape[1] / (1 + lengths), 1))
    degrees = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
    damping = _BM25_DAMPING * (1 - _BM25_LENGTHS + _BM25_LENGTHS * degrees / max(float(degrees.mean()), 1e-12))
    data = matrix.data * (_BM25_DAMPING + 1) / (damping[matrix.indices] + matrix.data) * np.repeat(rarity, lengths)
    return csr_matrix((data.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
