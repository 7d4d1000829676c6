"""The degree-normalised linear filter, and what is the same with other exponents: RP3β, cosine and BM25."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from training.sources.item_pairs import count_pairs, degrees_of, scaled, thin
from training.sources.item_weights import ItemWeights, keep_largest

_BM25_DAMPING, _BM25_LENGTHS = 100.0, 0.8


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """Says how far degrees count: 0 not at all, 1 as in the transition probabilities of a random walk."""

    customer_exponent: float = 0.6
    history_exponent: float = 0.6
    proposed_exponent: float = 0.3
    neighbors: int = 4_000


RP3_BETA = FilterSettings(customer_exponent=1.0, history_exponent=1.0, proposed_exponent=0.6, neighbors=100)
"""Three steps of a random walk, popularity held back: RP3β (Paudel, Christoffel, Newell and Bernstein 2017)."""

COSINE = FilterSettings(customer_exponent=0.0, history_exponent=0.5, proposed_exponent=0.5, neighbors=100)
"""On cells of 0 and 1 the cosine of the items' columns."""

BOUGHT_WITH = FilterSettings(customer_exponent=1.0, history_exponent=0.5, proposed_exponent=0.5, neighbors=100)
"""On baskets of 0 and 1: what is bought together, a large basket saying as much in all as a small one."""


def learn_filter(
    matrix: csr_matrix, settings: FilterSettings, seed: int, targets: csr_matrix | None = None
) -> ItemWeights:
    """Weigh items by D_i^-b · RᵀD_u^-aT · D_j^-c of matrices (customers, items), no cell below 0, without diagonal.

    ``matrix`` is R, degrees D_u and D_i; ``targets`` is T, degrees D_j: what is foreseen from R, R itself when None.
    Only each proposed item's ``neighbors`` largest weights stay (as in Sarwar and others 2001; the exponents as in
    linear graph filters, e.g. Shen and others 2021, GF-CF).
    """
    known = thin(matrix, seed)
    targets = known if targets is None else targets
    customers, items = degrees_of(known)
    by_customer = customers ** np.float32(-settings.customer_exponent)
    by_row = items ** np.float32(-settings.history_exponent)
    by_column = degrees_of(targets)[1] ** np.float32(-settings.proposed_exponent)
    return ItemWeights(
        keep_largest(
            count_pairs(scaled(known, by_customer, by_row), scaled(targets, np.ones_like(customers), by_column)),
            settings.neighbors,
        )
    )


def learn_bm25(matrix: csr_matrix, neighbors: int, seed: int) -> ItemWeights:
    """Weigh items by the inner product of their columns after Okapi BM25: items as documents, customers as words."""
    weighted = _bm25(thin(matrix, seed))
    return ItemWeights(keep_largest(count_pairs(weighted, weighted), neighbors))


def _bm25(matrix: csr_matrix) -> csr_matrix:
    """Weigh cells by how rare the customer's interest is, damped by the item's degree (Robertson and others 1994)."""
    lengths = np.diff(matrix.indptr)
    rarity = np.log(np.maximum(matrix.shape[1] / (1 + lengths), 1))
    degrees = np.bincount(matrix.indices, weights=matrix.data, minlength=matrix.shape[1])
    damping = _BM25_DAMPING * (1 - _BM25_LENGTHS + _BM25_LENGTHS * degrees / max(float(degrees.mean()), 1e-12))
    data = matrix.data * (_BM25_DAMPING + 1) / (damping[matrix.indices] + matrix.data) * np.repeat(rarity, lengths)
    return csr_matrix((data.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
