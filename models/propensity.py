"""What a score means: the probability that a customer buys the item within a label window, whatever made the score."""

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Propensity:
    """Maps scores to probabilities along straight lines between knots, flat beyond the first and the last.

    ``scores`` (k,) float32 ascend, each once; ``chances`` (k,) float32 never fall and lie in 0 … 1; k is at least 1.
    """

    scores: NDArray[np.float32]
    chances: NDArray[np.float32]
    _knots: list[float] = field(init=False, repr=False, compare=False)
    _heights: list[float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_knots", self.scores.tolist())
        object.__setattr__(self, "_heights", self.chances.tolist())

    def of(self, score: float) -> float:
        """Give the probability that stands behind one score; 0 for a score of 0 or less, which no list holds."""
        if score <= 0.0:
            return 0.0
        knots, heights = self._knots, self._heights
        place = bisect_right(knots, score)
        if place == 0:
            return heights[0]
        if place == len(knots):
            return heights[-1]
        left, low = knots[place - 1], heights[place - 1]
        return low + (heights[place] - low) * (score - left) / (knots[place] - left)

    def of_all(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the probabilities that stand behind scores of any shape."""
        return np.where(scores > 0, np.interp(scores, self.scores, self.chances), 0).astype(np.float32)

    def is_sound(self) -> bool:
        """Tell whether the arrays are what they have to be."""
        scores, chances = self.scores, self.chances
        if scores.ndim != 1 or scores.shape != chances.shape or len(scores) == 0:
            return False
        finite = bool(np.isfinite(scores).all() and np.isfinite(chances).all())
        rising = bool((np.diff(scores) > 0).all() and (np.diff(chances) >= 0).all())
        return finite and rising and chances[0] >= 0 and chances[-1] <= 1
