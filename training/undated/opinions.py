"""What models of items, each learned from other behaviours, think of every pair of customer and item."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.sources.factor_scores import FactorScores
from training.sources.linear_filter import FilterSettings, learn_filter
from training.sources.local_ease import LocalEaseSettings, learn_local_ease
from training.sources.scorer import Scorer
from training.sources.spectral_ease import SpectralEaseSettings, learn_spectral_ease
from training.undated.behaviors import Behaviors
from training.undated.ensemble import EnsembleSettings, fit_factors

_RIDGE = LocalEaseSettings(customer_exponent=0.0, regularization=10.0)
_FILTER = FilterSettings(neighbors=300)
_FACTORS = 128


@dataclass(frozen=True, slots=True)
class Opinion:
    """Is one model with the histories (customers, items) that it reads."""

    name: str
    scorer: Scorer
    histories: csr_matrix

    def of(self, customer_rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Score all items for these customers, (n, items)."""
        return self.scorer.score(customer_rows, self.histories[customer_rows])


def learn_opinions(behaviors: Behaviors, seed: int, threads: int) -> list[Opinion]:
    """Learn EASE, local and spectral, and ALS on all behaviours; a filter from each to the target, a ridge from all."""
    united, targets = behaviors.united(), behaviors.targets
    factors = EnsembleSettings().factors.model_copy(update={"factors": _FACTORS})
    local = learn_local_ease(united, LocalEaseSettings(), seed, threads)
    ridge = learn_local_ease(united, _RIDGE, seed, threads, targets)
    opinions = [
        Opinion("local-ease", local, united),
        Opinion("spectral-ease", learn_spectral_ease(united, SpectralEaseSettings(rank=256), seed, threads), united),
        Opinion("als", FactorScores(fit_factors(united, factors, seed, threads)), united),
        Opinion("ridge", ridge, united),
    ]
    for name, matrix in behaviors.matrices.items():
        opinions.append(Opinion(f"local-ease-of-{name}", local, matrix))
        opinions.append(Opinion(f"from-{name}", learn_filter(matrix, _FILTER, seed, targets), matrix))
    return opinions
