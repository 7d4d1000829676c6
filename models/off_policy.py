"""What other rules would have brought, told from decisions that were partly left to chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.comparison import LEVEL, Interval
from models.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """Is a slate that was shown: the offers from the first place on, with what is known of each.

    ``probabilities`` are those with which each got its place, given the ones above it; ``rewards`` what each brought;
    ``choices`` the slate that the other rules would have shown in the same situation.
    """

    offers: tuple[str, ...]
    probabilities: tuple[float, ...]
    rewards: tuple[float, ...]
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Tells what a slate brings on average, by the logged rules and by the others, with limits of LEVEL.

    ``effective`` is, by place, on how many decisions the others' figures rest: (sum of weights)² / sum of their squares
    (Kish, Survey Sampling, 1965).
    """

    decisions: int
    places: int
    logged: Interval
    ips: Interval
    snips: Interval
    effective: tuple[float, ...]


def evaluate(decisions: Sequence[LoggedDecision], places: int = 0) -> Evaluation:
    """Judge the choices by the rewards of what was shown, at the first ``places`` places; 0 means all.

    Each place's reward is weighted with 1 / the probability of all that stands down to it where the choices are the
    same so far, else with 0: per-decision importance sampling (Precup, Sutton and Singh, ICML 2000), for one place
    the inverse propensity score of Horvitz and Thompson (JASA 47, 1952). It is unbiased where the choices had a chance.
    SNIPS divides by the sum of the weights instead of the number of decisions (Swaminathan and Joachims, NeurIPS 2015);
    its limits are those of a ratio by the delta method. InvalidInputError where no decision reaches a place.
    """
    places = places or max((len(decision.offers) for decision in decisions), default=0)
    if len(decisions) < 2 or places == 0:
        raise InvalidInputError("decisions", "are too few to evaluate anything")
    rewards = np.zeros((len(decisions), places))
    weights = np.zeros((len(decisions), places))
    for row, decision in enumerate(decisions):
        shown = decision.rewards[:places]
        rewards[row, : len(shown)] = shown
        weights[row] = _weights(decision, places)
    sums = weights.sum(axis=0)
    if (sums == 0).any():
        reached = int(np.argmax(sums == 0))
        raise InvalidInputError("choices", f"agree with what was shown in no decision beyond place {reached}")
    brought = (weights * rewards).sum(axis=0) / sums
    residuals = (weights * (rewards - brought) / (sums / len(decisions))).sum(axis=1)
    return Evaluation(
        decisions=len(decisions),
        places=places,
        logged=_mean(rewards.sum(axis=1)),
        ips=_mean((weights * rewards).sum(axis=1)),
        snips=_around(float(brought.sum()), residuals),
        effective=tuple((sums**2 / (weights**2).sum(axis=0)).tolist()),
    )


def _weights(decision: LoggedDecision, places: int) -> list[float]:
    """Give the weight of each place; one that neither slate fills weighs as much as what stands above it."""
    weights, weight = [], 1.0
    for place in range(places):
        shown = decision.offers[place] if place < len(decision.offers) else None
        chosen = decision.choices[place] if place < len(decision.choices) else None
        if shown != chosen:
            weight = 0.0
        elif shown is not None:
            weight /= decision.probabilities[place]
        weights.append(weight)
    return weights


def _mean(figures: NDArray[np.float64]) -> Interval:
    return _around(float(figures.mean()), figures - figures.mean())


def _around(estimate: float, residuals: NDArray[np.float64]) -> Interval:
    """Give the normal limits of a mean whose terms deviate so."""
    error = sqrt(float((residuals**2).sum()) / (len(residuals) - 1) / len(residuals))
    reach = float(stats.norm.ppf((1 + LEVEL) / 2)) * error
    return Interval(estimate, estimate - reach, estimate + reach)
