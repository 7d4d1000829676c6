"""What is on the rise: items that many more customers buy now than did a window earlier."""

import numpy as np

from models.candidates import Source
from training.interactions import Interactions
from training.sources.popular import Popular

_DOUBT = np.float32(5)
"""Buyers in both windows that growth is mixed with, so that two buyers after none are no fashion yet."""


def trending(interactions: Interactions, width: int) -> Popular:
    """Propose by buyers in the popularity window, times how much more they are than in the window before it."""
    now, before = interactions.recent_buyers, interactions.earlier_buyers
    return Popular(now * (now + _DOUBT) / (before + _DOUBT), width, Source.POPULAR)
