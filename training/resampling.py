"""How far a measure may be chance: bootstrap intervals and sign-flip tests over customers, paired for differences.

What a customer buys hangs together, so customers are what is drawn again, never single purchases.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics import Ratio

RESAMPLES = 1_000
LEVEL = 0.95
"""Of the intervals, two-sided."""

_BLOCK = 100


def intervals(ratios: Sequence[Ratio], seed: int) -> NDArray[np.float64]:
    """Give the percentile bootstrap interval of each measure, (m, 2) (Efron and Tibshirani 1993, 13.3).

    The measures are of the same customers, who are drawn once for all of them; of a difference, given as a measure of
    its own, this is the paired interval.
    """
    if not ratios:
        return np.empty((0, 2))
    parts = np.stack([ratio.parts for ratio in ratios], axis=1)
    wholes = np.stack([ratio.wholes for ratio in ratios], axis=1)
    taken = []
    for weights in _drawn_again(len(parts), seed):
        sums = weights @ wholes
        taken.append(np.divide(weights @ parts, sums, out=np.zeros_like(sums), where=sums > 0))
    tail = 50 * (1 - LEVEL)
    bounds: NDArray[np.float64] = np.percentile(np.concatenate(taken), [tail, 100 - tail], axis=0).T
    return bounds


def chances(differences: Sequence[Ratio], seed: int) -> NDArray[np.float64]:
    """Give, for each paired difference, the chance of one as large if the two lists were exchangeable, (m,).

    Two-sided; each customer's difference keeps or changes its sign at random (Fisher 1935; Phipson and Smyth 2010 for
    the 1 that is added to both counts).
    """
    if not differences:
        return np.empty(0)
    parts = np.stack([difference.parts for difference in differences], axis=1)
    observed = np.abs(parts.sum(axis=0))
    # Sums in another order differ in the last digits: what is as large must not be counted as smaller.
    reached = observed * (1 - 1e-9)
    randomness = np.random.default_rng(seed)
    larger = np.zeros(len(differences), dtype=np.int64)
    for _ in range(0, RESAMPLES, _BLOCK):
        signs = randomness.integers(0, 2, (_BLOCK, len(parts))).astype(np.float64) * 2 - 1
        larger += (np.abs(signs @ parts) >= reached).sum(axis=0)
    values: NDArray[np.float64] = (larger + 1) / (RESAMPLES + 1)
    return values


def _drawn_again(customers: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Draw as many customers as there are, with replacement, again and again: how often each came, (_BLOCK, n)."""
    randomness = np.random.default_rng(seed)
    for _ in range(0, RESAMPLES, _BLOCK):
        drawn = randomness.integers(0, customers, (_BLOCK, customers))
        drawn += customers * np.arange(_BLOCK)[:, np.newaxis]
        counts = np.bincount(drawn.ravel(), minlength=_BLOCK * customers)
        yield counts.reshape(_BLOCK, customers).astype(np.float64)
