"""The lists of the model in service, made for the customers and the window that a new model was judged by.

Only lists that know nothing of the window are fair. There are four ways to them, tried in this order; each is named, so
that people know what was compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.backtest import WIDTH, Backtest
from models.errors import InvalidInputError
from training.backtests import lists_of, rows_in
from training.config import TrainingConfiguration, parse
from training.sources.source import NOTHING
from training.stored_lists import stored_lists

SAME_WINDOW = "same-window"
"""Both models were judged by the same window and customers: the lists kept beside the one in service."""

AS_SERVED = "as-served"
"""What is in service learned from nothing in the window: its lists as they are."""

SAME_RECIPE = "same-recipe"
"""Both are the same recipe, learned from other days: its lists would be those of the new model."""

REFITTED = "refitted"
"""The recipe of the model in service, learned anew from what came before the window."""

Refit = Callable[[TrainingConfiguration, datetime, Sequence[str]], tuple[list[str], NDArray[np.int64]]]
"""Learns by a configuration from what came before a time; gives the item ids and lists (n, k) of these customers."""

_NO_RECIPE = {"seed", "until", "evaluation_customers", "evaluation_windows", "refused_sample"}


@dataclass(frozen=True, slots=True)
class InService:
    """Holds lists (n, k ≤ WIDTH) of the model in service in rows of the new model, and the way they were come by."""

    model_version: str
    way: str
    lists: NDArray[np.int64]


def in_service(candidate: Artifact, current: Artifact, refit: Refit | None = None) -> InService | None:
    """Find the lists of the current model that the candidate can fairly be compared with, None when there are none."""
    backtest = candidate.backtest()
    if backtest is None:
        return None
    kept = _kept_lists(candidate, current, backtest)
    if kept is not None:
        return _found(current, SAME_WINDOW, kept)
    first_time = window_of(candidate)[0]
    if current.manifest.last_event_time < first_time:
        return _found(current, AS_SERVED, _served_lists(candidate, current, backtest))
    if same_recipe(candidate, current):
        return _found(current, SAME_RECIPE, lists_of(backtest))
    configuration = _recipe_of(current)
    if refit is None or configuration is None:
        return None
    item_ids, lists = refit(configuration, first_time, backtest.customer_ids)
    return _found(current, REFITTED, translated(lists[:, :WIDTH], item_ids, list(candidate.items().vocabulary)))


def window_of(artifact: Artifact) -> tuple[datetime, datetime]:
    """Give the label window that a model was judged by, UTC, its end exclusive."""
    window = artifact.manifest.metrics["evaluation"]["window"]
    return datetime.fromisoformat(window["first_time"]), datetime.fromisoformat(window["stop_time"])


def same_recipe(first: Artifact, second: Artifact) -> bool:
    """Tell whether two models were learned in the same way, whatever the days, the seed and the customers drawn."""
    one, other = (_recipe(artifact.manifest.configuration) for artifact in (first, second))
    return one == other


def _recipe(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in configuration.items() if name not in _NO_RECIPE}


def _recipe_of(artifact: Artifact) -> TrainingConfiguration | None:
    """Read the recipe back; None when it is of another version of this program."""
    try:
        return parse(TrainingConfiguration, dict(artifact.manifest.configuration), "configuration")
    except InvalidInputError:
        return None


def _found(current: Artifact, way: str, lists: NDArray[np.int64]) -> InService:
    return InService(current.manifest.model_version, way, lists)


def _kept_lists(candidate: Artifact, current: Artifact, backtest: Backtest) -> NDArray[np.int64] | None:
    other = current.backtest()
    if other is None or window_of(current) != window_of(candidate) or other.customer_ids != backtest.customer_ids:
        return None
    return translated(lists_of(other), list(current.items().vocabulary), list(candidate.items().vocabulary))


def _served_lists(candidate: Artifact, current: Artifact, backtest: Backtest) -> NDArray[np.int64]:
    """Give the customers' own lists, and everyone's list to whoever has none."""
    lists, _ = stored_lists(current, backtest.customer_ids, WIDTH)
    return translated(lists.item_rows, list(current.items().vocabulary), list(candidate.items().vocabulary))


def translated(lists: NDArray[np.int64], item_ids: Sequence[str], to_ids: Sequence[str]) -> NDArray[np.int64]:
    """Name items by their rows in another model; what it does not know goes, the rest moving up."""
    rows = np.append(rows_in(item_ids, to_ids), NOTHING)[lists]
    order = np.argsort(rows == NOTHING, axis=1, kind="stable")
    return np.take_along_axis(rows, order, axis=1)
