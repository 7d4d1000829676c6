"""The learned blend over all sources: one logistic regression per group of candidates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.features import BOUGHT, FEATURES, NEW, VIEWED, Candidates

_GROUP_NAMES = {BOUGHT: "bought", VIEWED: "viewed", NEW: "new"}

_SENSIBLE = {
    BOUGHT: {"constant": -0.5, "weight-part": 0.7, "age": -0.3, "collaborative": 0.5},
    VIEWED: {"constant": -1.5, "weight-part": 0.5, "age": -0.5, "collaborative": 0.5},
    NEW: {"constant": -3.0, "collaborative": 3.0, "neighbors": 0.3, "recent-buyers": 0.5},
}
"""Weights held to as far as the labels do not speak otherwise; with no labels at all, the whole blend."""

_TRUST = 3.0
"""How strongly: as the inverse variance of a Gaussian prior around the sensible weights."""

_STEPS = 12


@dataclass(frozen=True, slots=True)
class Blend:
    """Holds weights (groups, features) float64, groups and features as in ``features``."""

    weights: NDArray[np.float64]

    def probabilities(self, candidates: Candidates) -> NDArray[np.float32]:
        """Give each candidate's probability to be bought within a label window by a customer who buys then, (c,)."""
        logits = np.einsum("ij,ij->i", candidates.features, self.weights.astype(np.float32)[candidates.groups])
        probabilities: NDArray[np.float32] = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
        return probabilities

    def describe(self) -> dict[str, dict[str, float]]:
        """Give the weights by name of group and feature, as JSON."""
        return {
            name: {
                feature: round(float(weight), 4) for feature, weight in zip(FEATURES, self.weights[group], strict=True)
            }
            for group, name in _GROUP_NAMES.items()
        }


def sensible_blend() -> Blend:
    """Give the blend of a shop that has no labels yet."""
    weights = np.zeros((len(_GROUP_NAMES), len(FEATURES)))
    for group, named in _SENSIBLE.items():
        for feature, weight in named.items():
            weights[group, FEATURES.index(feature)] = weight
    return Blend(weights)


def fit_blend(features: NDArray[np.float32], groups: NDArray[np.uint8], labels: NDArray[np.bool_]) -> Blend:
    """Fit by maximum a posteriori around the sensible blend, with Newton's method (Bishop 2006, 4.3.3).

    ``features`` (c, f), ``groups`` (c,), ``labels`` (c,): whether the candidate was bought in the label window.
    """
    sensible = sensible_blend().weights
    weights = sensible.copy()
    for group in _GROUP_NAMES:
        chosen = groups == group
        if labels[chosen].any():
            weights[group] = _newton(features[chosen], labels[chosen], sensible[group])
    return Blend(weights)


def _newton(
    features: NDArray[np.float32], labels: NDArray[np.bool_], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    weights = prior.copy()
    trust = _TRUST * np.eye(len(prior))
    loss = _loss(features, labels, weights, prior)
    for _ in range(_STEPS):
        probabilities = 1 / (1 + np.exp(-_logits(features, weights)))
        gradient = features.T @ (probabilities - labels).astype(np.float32) + trust @ (weights - prior)
        curvature = (features * (probabilities * (1 - probabilities))[:, np.newaxis].astype(np.float32)).T @ features
        step = np.linalg.solve(curvature.astype(np.float64) + trust, gradient)
        length = 1.0
        while (new := _loss(features, labels, weights - length * step, prior)) > loss and length > 1e-3:
            length /= 2
        if loss - new < 1e-6 * abs(loss):
            break
        weights, loss = weights - length * step, new
    return weights


def _loss(
    features: NDArray[np.float32], labels: NDArray[np.bool_], weights: NDArray[np.float64], prior: NDArray[np.float64]
) -> float:
    logits = _logits(features, weights)
    likelihood = np.logaddexp(0, np.where(labels, -logits, logits)).sum()
    return float(likelihood + 0.5 * _TRUST * np.sum((weights - prior) ** 2))


def _logits(features: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(features @ weights.astype(np.float32), -30, 30).astype(np.float64)
