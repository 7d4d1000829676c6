"""Fits what scores mean to what was bought after them, in a window that the ranker has not learned from."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from models.propensity import Propensity

_KNOTS = 200

_LEAST = 50
"""Scores in the highest group, so that its rate is no accident."""


def fit_propensity(scores: NDArray[np.float32], bought: NDArray[np.bool_]) -> Propensity | None:
    """Fit by isotonic regression (Zadrozny and Elkan 2002) over groups of like scores; None without any purchase.

    ``scores`` (c,) as lists store them, in half precision; ``bought`` (c,) whether the item was then bought.
    """
    if not bought.any():
        return None
    stored = scores.astype(np.float16).astype(np.float32)
    order = np.argsort(stored, kind="stable")
    stored, outcomes = stored[order], bought[order].astype(np.float64)
    starts = _starts_of_groups(stored)
    counts = np.diff(np.append(starts, len(stored)))
    middles = np.add.reduceat(stored.astype(np.float64), starts) / counts
    rates = isotonic_regression(np.add.reduceat(outcomes, starts) / counts, weights=counts).x
    knots, first = np.unique(middles.astype(np.float32), return_index=True)
    return Propensity(knots, np.clip(rates[first], 0, 1).astype(np.float32))


def _starts_of_groups(ascending: NDArray[np.float32]) -> NDArray[np.int64]:
    """Cut scores into about as many groups of one size as there are knots, equal ones together.

    The highest are cut finer: there a slate is decided.
    """
    shares = 1 - np.geomspace(1, 1 / max(len(ascending), 2), _KNOTS)
    even = np.linspace(0, 1, _KNOTS, endpoint=False)
    wanted = (np.concatenate([shares, even]) * len(ascending)).astype(np.int64)
    wanted = wanted[wanted <= max(0, len(ascending) - _LEAST)]
    return np.unique(np.searchsorted(ascending, ascending[wanted], side="left"))
