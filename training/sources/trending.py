"""What is on the rise: items that many more customers buy now than did a window earlier."""

import numpy as np
from numpy.typing import NDArray

from models.candidates import Source
from training.interactions import Interactions
from training.sources.popular import Popular

_DOUBT = 5.0
"""Buyers in both windows that growth is mixed with, so that two buyers after none are no fashion yet."""


def trending(interactions: Interactions, width: int) -> Popular:
    """Propose by buyers in the popularity window, times how much more they are than in the window before it."""
    return Popular(interactions.recent_buyers * np.exp(growth(interactions)), width, Source.POPULAR)


def growth(interactions: Interactions) -> NDArray[np.float32]:
    """Give the logarithm of by how much the buyers of each item grew from one window to the next, (items,)."""
    now, before = interactions.recent_buyers, interactions.earlier_buyers
    grown: NDArray[np.float32] = np.log((now + _DOUBT) / (before + _DOUBT)).astype(np.float32)
    return grown
