"""Whether probabilities mean what they say: of what is listed with 10 %, a tenth should be bought."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10


def calibration(probabilities: NDArray[np.float32], bought: NDArray[np.bool_]) -> dict[str, Any]:
    """Compare probabilities (c,) with what came of them (c,), in bins of equal size by rising probability.

    ``error`` averages the distance of a bin's mean probability from its bought share (Naeini 2015); ``brier`` is the
    mean squared error of single probabilities, ``base`` that of always saying the average. Empty without candidates.
    """
    if len(probabilities) == 0:
        return {}
    order = np.argsort(probabilities, kind="stable")
    chances, outcomes = probabilities[order].astype(np.float64), bought[order].astype(np.float64)
    bins = [
        {"count": len(part), "said": round(float(part.mean()), 6), "bought": round(float(found.mean()), 6)}
        for part, found in zip(np.array_split(chances, BINS), np.array_split(outcomes, BINS), strict=True)
        if len(part)
    ]
    error = sum(entry["count"] * abs(entry["said"] - entry["bought"]) for entry in bins) / len(chances)
    return {
        "bins": bins,
        "error": round(error, 6),
        "brier": round(float(((chances - outcomes) ** 2).mean()), 6),
        "base": round(float(outcomes.var()), 6),
    }
