"""A fit may begin where an earlier model ended, if that knew nothing of what the fit must not know."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from models.registry import Registry
from tests.live.shop import ITEMS, factors, write_foldable
from tests.models_fixtures import LAST_EVENT_TIME, item_id
from tests.shop import events, write_rows
from training.als import Factors
from training.config import ColumnMapping, FactorSettings, TrainingConfiguration
from training.job import train
from training.warm_start import EarlierFactors, earlier_factors

LAST = int(LAST_EVENT_TIME.timestamp())
DAY = 86_400


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def write_model(registry: Registry, days: int) -> str:
    """Write a model of four factors that knows what came until so many days after the others' end."""
    return write_foldable(registry, later=timedelta(days=days))


def test_the_newest_model_that_knows_nothing_after_the_cut_is_taken(registry: Registry) -> None:
    versions = [write_model(registry, days) for days in (0, 2, 4)]
    found = earlier_factors(registry, LAST + 3 * DAY, 4)
    assert found is not None
    assert found.model_version == versions[1]
    assert earlier_factors(registry, LAST, 4) is None


def test_factors_of_another_length_are_none_to_begin_with(registry: Registry) -> None:
    write_model(registry, 0)
    assert earlier_factors(registry, LAST + DAY, 5) is None


def test_a_damaged_model_is_passed_over(registry: Registry) -> None:
    old, new = (write_model(registry, days) for days in (0, 2))
    (registry.root / new / "factors.npz").write_bytes(b"gone")
    found = earlier_factors(registry, LAST + 3 * DAY, 4)
    assert found is not None
    assert found.model_version == old


def test_items_are_found_by_their_ids_and_new_ones_stay_random() -> None:
    earlier = EarlierFactors("v", LAST, [item_id(row) for row in range(ITEMS)], factors())
    random = Factors(np.zeros((2, 4), np.float32), np.full((3, 4), 7, np.float32))
    laid = earlier.over(random, [item_id(5), "new", item_id(2)])
    np.testing.assert_array_equal(laid.items, [factors()[5], [7] * 4, factors()[2]])


def test_a_warm_fit_says_with_which_model_it_began_and_lists_what_a_cold_one_lists(
    registry: Registry, tmp_path: Path
) -> None:
    rows = events(customers=90)
    small = TrainingConfiguration(factors=FactorSettings(factors=8), holdout_days=20)
    early = write_rows(tmp_path / "early.csv", rows[: len(rows) - 200])
    first = train([str(early)], ColumnMapping(), small, registry).manifest
    path = write_rows(tmp_path / "events.csv", rows)
    cold = train([str(path)], ColumnMapping(), small, Registry(tmp_path / "cold")).manifest
    warm = train([str(path)], ColumnMapping(), small, registry, warm=True).manifest
    assert cold.metrics["started_from"] is None
    assert warm.metrics["started_from"] == first.model_version
    assert warm.metrics["evaluation"] == cold.metrics["evaluation"]
    tops = [
        next(Registry(root).open(manifest.model_version).lists()).candidates["row"][:, :10]
        for root, manifest in ((tmp_path / "cold", cold), (registry.root, warm))
    ]
    alike = np.mean([len(np.intersect1d(one, other)) / 10 for one, other in zip(*tops, strict=True)])
    assert alike > 0.8
