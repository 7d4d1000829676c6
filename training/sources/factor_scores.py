"""Factor models as scorers of the whole catalogue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit

from training.als import Factors


@dataclass(frozen=True, slots=True)
class FactorScores:
    """Scores with the inner product of the factors, which ALS brings near 1 for what is sure to be liked."""

    factors: Factors

    def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
        """Multiply the customers' factors with all items'."""
        scores: NDArray[np.float32] = self.factors.customers[customer_rows] @ self.factors.items.T
        scores[np.diff(histories.indptr) == 0] = 0
        return scores


@dataclass(frozen=True, slots=True)
class LogisticScores:
    """Scores with the logistic function of the inner product, 0 … 1: what BPR and LMF foresee.

    An item without factors gets 0: its inner product of 0 would say that it is liked as often as not.
    """

    factors: Factors

    def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
        """Take the logistic function of the product with all items' factors."""
        scores: NDArray[np.float32] = expit(self.factors.customers[customer_rows] @ self.factors.items.T)
        scores[np.diff(histories.indptr) == 0] = 0
        scores[:, ~self.factors.items.any(axis=1)] = 0
        return scores
