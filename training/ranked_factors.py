"""The factor models of ``implicit`` that learn by gradients: Bayesian personalised ranking, logistic factorisation.

Their quirks are mended here: what speaks against an item would count as liked, no cells at all is undefined behaviour,
a customer without a history keeps a bias and would be shown what is popular, factors may not be finite, and more than
one thread gives other factors each time.
"""

from dataclasses import dataclass

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.lmf import LogisticMatrixFactorization
from implicit.recommender_base import ModelFitError
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from training.als import Factors, diverged


@dataclass(frozen=True, slots=True)
class RankedFactorSettings:
    """Says how to descend; what suits one loss does not suit the other."""

    factors: int
    learning_rate: float
    regularization: float
    sweeps: int


BPR = RankedFactorSettings(factors=64, learning_rate=0.05, regularization=0.01, sweeps=60)
LMF = RankedFactorSettings(factors=32, learning_rate=1.0, regularization=0.6, sweeps=30)


def fit_bpr(matrix: csr_matrix, settings: RankedFactorSettings, seed: int) -> Factors:
    """Learn to rank what was liked before what was not (Rendle and others 2009); how much it was liked is not read.

    ``matrix`` (customers, items) float32; cells not above 0 are left out. InvalidInputError when the fit diverges.
    """
    model = BayesianPersonalizedRanking(
        factors=settings.factors,
        learning_rate=settings.learning_rate,
        regularization=settings.regularization,
        iterations=settings.sweeps,
        num_threads=1,
        random_state=seed,
    )
    return _fit(model, matrix, settings.factors + 1)


def fit_lmf(matrix: csr_matrix, settings: RankedFactorSettings, seed: int) -> Factors:
    """Learn the probability that an item is liked, confidence by the cell (Johnson 2014), as :func:`fit_bpr` says."""
    model = LogisticMatrixFactorization(
        factors=settings.factors,
        learning_rate=settings.learning_rate,
        regularization=settings.regularization,
        iterations=settings.sweeps,
        num_threads=1,
        random_state=seed,
    )
    return _fit(model, matrix, settings.factors + 2)


def _fit(model: BayesianPersonalizedRanking | LogisticMatrixFactorization, matrix: csr_matrix, length: int) -> Factors:
    liked = matrix.multiply(matrix > 0).tocsr()
    liked.eliminate_zeros()
    if liked.nnz == 0:
        customers, items = (np.zeros((count, length), dtype=np.float32) for count in matrix.shape)
        return Factors(customers, items)
    with threadpool_limits(limits=1, user_api="blas"):
        try:
            model.fit(liked, show_progress=False)
        except (ModelFitError, ValueError) as error:
            raise diverged() from error
    customers, items = model.user_factors, model.item_factors
    if not (np.isfinite(customers).all() and np.isfinite(items).all()):
        raise diverged()
    customers[np.diff(liked.indptr) == 0] = 0
    items[np.bincount(liked.indices, minlength=len(items)) == 0] = 0
    return Factors(customers, items)
