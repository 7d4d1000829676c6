"""The only place that imports LightGBM: how trees are grown on rows of numbers, and asked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lightgbm import Booster

_PARAMETERS: Mapping[str, Any] = {
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def boost(
    features: NDArray[np.float32],
    labels: NDArray[np.bool_],
    names: Sequence[str] | None,
    parameters: Mapping[str, Any],
    rounds: int,
    groups: NDArray[np.int64] | None = None,
    weights: NDArray[np.float32] | None = None,
) -> "Booster":
    """Grow so many trees on features (e, f), labels (e,) and weights (e,).

    ``names`` of features stay with the trees; LightGBM refuses some punctuation in them. ``groups`` (g,) says how many
    rows in a row belong together, for objectives that order within them. ``parameters`` name objective, learning rate,
    bins, seed and threads. The same rows and parameters give the same trees.
    """
    import lightgbm  # noqa: PLC0415 - it takes a second or two, and most commands do without

    chosen = {**_PARAMETERS, **parameters}
    data = lightgbm.Dataset(
        features,
        label=labels.astype(np.float32),
        group=groups,
        weight=weights,
        feature_name="auto" if names is None else list(names),
        params=chosen,
    )
    return lightgbm.train(chosen, data, num_boost_round=rounds)


def first_trees(booster: "Booster", trees: int) -> "Booster":
    """Copy the first trees into a model of their own.

    LightGBM keeps with the model how many of its trees are asked, and threads that ask one model for different numbers
    get each other's.
    """
    import lightgbm  # noqa: PLC0415 - as above

    return lightgbm.Booster(model_str=booster.model_to_string(num_iteration=trees))


def predict(
    booster: "Booster",
    features: NDArray[np.float32],
    trees: int | None = None,
    first: int = 0,
    threads: int = 1,
) -> NDArray[np.float32]:
    """Add the trees up, (e,): log-odds where the objective is binary."""
    scores = booster.predict(features, raw_score=True, start_iteration=first, num_iteration=trees, num_threads=threads)
    return np.asarray(scores, dtype=np.float32)
