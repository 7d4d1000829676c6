"""Several models as one: their scores brought to one spread and added up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.sources.scorer import Scorer


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
                scores += np.float32(weight) * of_one_spread(scorer.score(customer_rows, histories))
        return scores


def of_one_spread(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each row of (n, items) by its standard deviation; in place. A row without any spread stays."""
    spread = scores.std(axis=1, keepdims=True)
    scores /= np.where(spread > 0, spread, 1)
    return scores
