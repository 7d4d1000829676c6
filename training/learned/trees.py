"""Trees over frames: what they learn from, and the one score made of them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.boosting import boost, first_trees, predict

if TYPE_CHECKING:
    from lightgbm import Booster

FIRST_TREES = 15
"""Trees of each objective that a first look at a candidate takes."""

STEP, LOSS_EXAMPLES = 10, 20_000
"""How many trees lie between two points of a learning curve, and by how many examples it is measured."""

_LARGEST_SPEND = 0.995  # quantile of what one purchase was worth that weights are cut at


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """Bounds the trees: rounds of each objective, the part of spend in the score (0 … 1), the seed.

    ``shift`` is added to the odds, to make up for examples that were left out.
    """

    binary_rounds: int
    pairwise_rounds: int
    revenue_mix: float
    shift: float
    seed: int


@dataclass(frozen=True, slots=True)
class Examples:
    """Holds candidates whose fate is known, e of them, by customer and moment.

    ``features`` (e, f) float32; ``labels`` (e,): whether it was bought in the window; ``values`` (e,)
    float32: what was spent on it then; ``groups`` (g,) int64: how many in a row belong to one customer at one moment.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.bool_]
    values: NDArray[np.float32]
    groups: NDArray[np.int64]

    @classmethod
    def none(cls, features: int) -> "Examples":
        """Give no examples of so many features."""
        empty = np.empty(0, dtype=np.float32)
        return cls(empty.reshape(0, features), empty > 0, empty, np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Trees:
    """Scores candidates: log-odds of a purchase, mixed with what orders best within one customer.

    ``rough`` are the first trees of what the score is made of, each with its part in it; ``names`` are those of the
    features.
    """

    rough: Sequence[tuple[float, "Booster"]]
    binary: "Booster"
    pairwise: "Booster"
    pairwise_scale: float
    names: Sequence[str]
    spend: "Booster | None"
    settings: TreeSettings

    def first_look(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score roughly, (c,): enough to tell which candidates have no chance."""
        look = np.zeros(len(features), dtype=np.float32)
        for part, trees in self.rough:
            look += np.float32(part) * predict(trees, features)
        return look

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score candidates, (c,) float32: higher is better, comparable between customers as far as log-odds are."""
        scores = predict(self.binary, features) + np.float32(self.pairwise_scale) * predict(self.pairwise, features)
        if self.spend is not None:
            # Twice, for it takes the place of both.
            scores += np.float32(self.settings.revenue_mix) * (2 * predict(self.spend, features) - scores)
        return scores + np.float32(self.settings.shift)

    def losses(self, examples: Examples) -> list[float]:
        """Give the mean log loss of the odds after every STEP trees, of at most LOSS_EXAMPLES of the examples."""
        step = -(-len(examples.labels) // LOSS_EXAMPLES) or 1
        features, labels = examples.features[::step], examples.labels[::step]
        odds, copied = np.zeros(len(labels), dtype=np.float32), first_trees(self.binary, self.settings.binary_rounds)
        losses = []
        for first in range(0, self.settings.binary_rounds, STEP):
            odds += predict(copied, features, STEP, first)
            losses.append(round(float(np.mean(np.logaddexp(0, odds) - odds * labels)), 6))
        return losses

    def importances(self) -> dict[str, float]:
        """Give each feature's share of what the trees of the first objective gained, as JSON, largest first."""
        gains = self.binary.feature_importance("gain")
        shares = gains / max(float(gains.sum()), 1e-12)
        order = np.argsort(-shares, kind="stable")
        return {self.names[place]: round(float(shares[place]), 5) for place in order.tolist()}


def grow(examples: Examples, names: Sequence[str], settings: TreeSettings) -> Trees:
    """Learn from examples whose features have these names; the same examples and settings give the same trees.

    Each objective grows on a thread of its own: LightGBM's threads wait for each other in a loop, and several times as
    long where a processor is not theirs alone.
    """
    pairwise: dict[str, Any] = {"objective": "lambdarank", "lambdarank_truncation_level": 40}
    with ThreadPoolExecutor() as threads:
        odds: dict[str, Any] = {"objective": "binary"}
        binary = threads.submit(_boost, examples, odds, settings.binary_rounds, settings.seed)
        order = threads.submit(_boost, examples, pairwise, settings.pairwise_rounds, settings.seed)
        spend = None
        if settings.revenue_mix > 0:
            weights = _spend_weights(examples)
            spend = threads.submit(_boost, examples, odds, settings.binary_rounds, settings.seed, weights)
    spreads = [float(predict(grown.result(), examples.features).std()) for grown in (binary, order)]
    scale = spreads[0] / spreads[1] if spreads[1] > 0 else 0.0
    spent, mix = spend.result() if spend else None, settings.revenue_mix
    parts = [(1 - mix, binary.result()), *([(mix, spent)] if spent else [])]
    rough = [(part, first_trees(grown, FIRST_TREES)) for part, grown in parts if part > 0]
    return Trees(rough, binary.result(), order.result(), scale, names, spent, settings)


def _boost(
    examples: Examples,
    objective: dict[str, Any],
    rounds: int,
    seed: int,
    weights: NDArray[np.float32] | None = None,
) -> "Booster":
    parameters = objective | {"learning_rate": 0.12, "max_bin": 63, "seed": seed % 2**31, "num_threads": 1}
    return boost(examples.features, examples.labels, None, parameters, rounds, examples.groups, weights)


def _spend_weights(examples: Examples) -> NDArray[np.float32]:
    """Weigh what was bought by what it was worth, 1 on average; what was not counts 1."""
    weights = np.ones(len(examples.labels), dtype=np.float32)
    spent = examples.values[examples.labels]
    if spent.sum() > 0:
        spent = np.clip(spent, 0, np.quantile(spent, _LARGEST_SPEND))
        weights[examples.labels] = spent / max(float(spent.mean()), 1e-9)
    return weights
