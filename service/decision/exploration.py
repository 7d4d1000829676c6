"""Places left to chance, each with the probability of what came of it, so that other rules can be judged later."""

import random

import numpy as np
from numpy.typing import NDArray

from models.policy import Exploration


class Explorer:
    """Draws for the places of one slate, one after the other (epsilon-greedy)."""

    def __init__(self, exploration: Exploration, seed: str) -> None:
        """``seed`` decides every draw, so that the same question has the same answer."""
        self._share = exploration.percent / 100
        self._chance = random.Random(seed)  # noqa: S311 - chance that can be repeated is what is wanted

    def choose(self, best: int, candidates: NDArray[np.intp]) -> tuple[int, float, bool]:
        """Give who takes a place, how probable that was, and whether chance decided.

        With a probability of the share it is any of ``candidates`` (n ≥ 1,), ``best`` among them, all alike; else
        ``best``.
        """
        explores, drawn = self._chance.random() < self._share, self._chance.random()
        chosen = int(candidates[int(drawn * len(candidates))]) if explores else best
        probability = self._share / len(candidates) + (1 - self._share if chosen == best else 0.0)
        return chosen, probability, explores
