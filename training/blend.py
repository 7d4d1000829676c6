"""The learned blend over all sources: one logistic regression per group of candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Examples:
    """Gathers candidates whose fate is known, group by group in blocks, so that nothing is copied to fit them."""

    blocks: dict[int, list["_Block"]] = field(default_factory=lambda: {group: [] for group in _GROUP_NAMES})

    def add(self, candidates: Candidates, labels: NDArray[np.bool_]) -> None:
        """Keep candidates (c,) with their labels (c,): whether each was bought in the label window."""
        for group, blocks in self.blocks.items():
            chosen = candidates.groups == group
            if chosen.any():
                blocks.append(_Block(candidates.features[chosen], labels[chosen]))


def fit_blend(examples: Examples) -> Blend:
    """Fit by maximum a posteriori around the sensible blend, with Newton's method (Bishop 2006, 4.3.3)."""
    sensible = sensible_blend().weights
    weights = sensible.copy()
    for group, blocks in examples.blocks.items():
        if any(block.labels.any() for block in blocks):
            weights[group] = _newton(blocks, sensible[group])
    return Blend(weights)


@dataclass(frozen=True, slots=True)
class _Block:
    features: NDArray[np.float32]
    labels: NDArray[np.bool_]

    def logits(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(self.features @ weights.astype(np.float32), -30, 30).astype(np.float64)

    def loss(self, weights: NDArray[np.float64]) -> float:
        logits = self.logits(weights)
        return float(np.logaddexp(0, np.where(self.labels, -logits, logits)).sum())

    def gradient(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        errors = _sigmoid(self.logits(weights)) - self.labels
        return (self.features.T @ errors.astype(np.float32)).astype(np.float64)

    def curvature(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        probabilities = _sigmoid(self.logits(weights))
        scaled = self.features * (probabilities * (1 - probabilities)).astype(np.float32)[:, np.newaxis]
        return (scaled.T @ self.features).astype(np.float64)


def _newton(blocks: Sequence[_Block], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = prior.copy()
    trust = _TRUST * np.eye(len(prior))
    loss = _loss(blocks, weights, prior)
    for _ in range(_STEPS):
        gradient = sum((block.gradient(weights) for block in blocks), trust @ (weights - prior))
        step = np.linalg.solve(sum((block.curvature(weights) for block in blocks), trust), gradient)
        length = 1.0
        while (new := _loss(blocks, weights - length * step, prior)) > loss and length > 1e-3:
            length /= 2
        if loss - new < 1e-6 * abs(loss):
            break
        weights, loss = weights - length * step, new
    return weights


def _loss(blocks: Sequence[_Block], weights: NDArray[np.float64], prior: NDArray[np.float64]) -> float:
    distance = float(np.sum((weights - prior) ** 2))
    return sum(block.loss(weights) for block in blocks) + 0.5 * _TRUST * distance


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-logits))
