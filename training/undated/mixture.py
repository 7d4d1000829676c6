"""Several models as one: their scores brought to one spread and added up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.sources.scorer import Scorer

_ROUNDING = 1e-6
"""Part of the mean square below which a variance is nothing but rounding."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Adds up the scores of models, each divided by its standard deviation over the customer's items, by weight."""

    scorers: Sequence[Scorer]
    weights: Sequence[float]

    def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
        """Score all items; models of weight 0 are not asked."""
        scores = np.zeros(histories.shape, dtype=np.float32)
        for scorer, weight in zip(self.scorers, self.weights, strict=True):
            if weight:
                part = of_one_spread(scorer.score(customer_rows, histories))
                part *= np.float32(weight)
                scores += part
        return scores


def of_one_spread(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each row of (n, items) by its standard deviation; in place. A row without any spread stays.

    Squares of a row are added up where they lie: numpy's own deviation writes the whole matrix down three times more.
    """
    items = scores.shape[1]
    means = scores.mean(axis=1, dtype=np.float64)
    squares = np.array([np.dot(row, row) for row in scores], dtype=np.float64) / items
    variances = squares - means * means
    # What is left of equal scores is the rounding of their squares.
    varied = variances > _ROUNDING * squares
    scores /= np.where(varied, np.sqrt(np.where(varied, variances, 1)), 1).astype(np.float32)[:, np.newaxis]
    return scores
