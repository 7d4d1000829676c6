"""Shops of every shape: with the configuration that everybody begins with, each gets lists that can be published."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.artifact import Artifact
from models.item_model import EVERYONE
from models.registry import Registry
from tests.shop import write_rows
from tests.training.reading import row
from training.config import ColumnMapping, TrainingConfiguration
from training.job import train

Rows = list[dict[str, Any]]


def visits(customers: int, items: int, count: int, days: float, event_type: str = "purchase", **more: float) -> Rows:
    """Let so many events happen at random, popular items more often."""
    randomness = np.random.default_rng(1)
    return [
        row(f"c{customer}", f"i{item}", float(day), event_type, **more)
        for customer, item, day in zip(
            randomness.integers(0, customers, count),
            np.minimum(randomness.geometric(3 / (items + 2), count) - 1, items - 1),
            randomness.uniform(0, days, count),
            strict=True,
        )
    ]


def numbered(column: str, rows: Rows) -> Rows:
    """Let no two events be of the same customer, or of the same item."""
    return [{**event, column: str(number)} for number, event in enumerate(rows)]


SHAPES: dict[str, Callable[[], Rows]] = {
    "one event": lambda: visits(1, 1, 1, 1),
    "one customer": lambda: visits(1, 30, 300, 300),
    "one item": lambda: visits(50, 1, 300, 300),
    "one moment": lambda: visits(60, 20, 300, 0),
    "three days": lambda: visits(60, 20, 300, 3),
    "views alone": lambda: visits(60, 20, 300, 300, "view"),
    "nothing but returns": lambda: visits(60, 20, 300, 300, "return"),
    "nobody comes again": lambda: numbered("customer_id", visits(1, 20, 300, 300)),
    "nothing is sold twice": lambda: numbered("item_id", visits(60, 1, 300, 300)),
    "values below nothing": lambda: visits(60, 20, 300, 300, value=-1.0),
    "a year of nothing in between": lambda: visits(60, 20, 200, 90) + [
        row(f"c{n % 60}", f"i{n % 20}", 500 + n / 10) for n in range(200)
    ],
}  # fmt: skip


def learned_from(rows: Rows, folder: Path, **settings: object) -> Artifact:
    configuration = TrainingConfiguration.model_validate({"factors": {"factors": 8}, **settings})
    registry = Registry(folder / "models")
    source = str(write_rows(folder / "events.csv", rows))
    return registry.open(train([source], ColumnMapping(), configuration, registry).manifest.model_version)


def check_lists(artifact: Artifact) -> None:
    items = len(artifact.items().vocabulary)
    for table in artifact.lists():
        for customer in range(len(table)):
            candidates = table.list_at(customer).candidates
            assert len(set(candidates["row"].tolist())) == len(candidates) <= items
            assert np.isfinite(candidates["score"]).all()
            assert (np.diff(candidates["score"].astype(np.float32)) <= 0).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_data_gives_lists(shape: str, tmp_path: Path) -> None:
    artifact = learned_from(SHAPES[shape](), tmp_path)
    check_lists(artifact)
    assert len(artifact.items().shared_lists[EVERYONE]) > 0


@pytest.mark.parametrize("shape", ["one customer", "nobody comes again", "a year of nothing in between"])
def test_trees_can_be_had_for_all_that_is_bought_over_time(shape: str, tmp_path: Path) -> None:
    artifact = learned_from(SHAPES[shape](), tmp_path, ranker="learned", holdout_days=20)
    assert artifact.manifest.metrics["ranker"]["kind"] == "learned"
    check_lists(artifact)
