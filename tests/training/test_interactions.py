from pathlib import Path

import numpy as np
import pytest

from models.progress import SilentProgress
from tests.shop import write_events, write_rows
from tests.training.reading import interactions_of, read_files, row
from training.config import ColumnMapping, EventWeight, TrainingConfiguration
from training.interactions import Interactions, load_interactions


def weight(interactions: Interactions, cell: int = 0) -> float:
    return float(interactions.weights_at(np.array([cell]))[0])


def test_a_purchase_of_one_weighs_one_when_it_is_new(tmp_path: Path) -> None:
    interactions = interactions_of(tmp_path, [row("a", "x")])
    assert weight(interactions) == pytest.approx(1.0, abs=1e-5)
    assert interactions.matrix.data[0] == pytest.approx(11.0, abs=1e-4)


def test_an_event_weighs_half_after_its_half_life(tmp_path: Path) -> None:
    configuration = TrainingConfiguration(events={"purchase": EventWeight(weight=2.0, half_life_days=10)})
    assert weight(interactions_of(tmp_path, [row("a", "x", 10)], configuration)) == pytest.approx(1.0, abs=1e-5)
    assert weight(interactions_of(tmp_path, [row("a", "x", 30)], configuration)) == pytest.approx(0.25, abs=1e-5)


def test_each_event_type_has_its_own_weight_and_half_life(tmp_path: Path) -> None:
    configuration = TrainingConfiguration(
        events={"view": EventWeight(weight=0.5, half_life_days=1), "purchase": EventWeight(weight=1, half_life_days=2)}
    )
    rows = [row("a", "x", 2), row("a", "x", 2, "view")]
    assert weight(interactions_of(tmp_path, rows, configuration)) == pytest.approx(0.5 + 0.125, abs=1e-5)


@pytest.mark.parametrize(("damping", "expected"), [("logarithm", 2.0), ("none", 3.0), ("ignore", 1.0)])
def test_quantities_are_damped(tmp_path: Path, damping: str, expected: float) -> None:
    configuration = TrainingConfiguration.model_validate({"quantity_damping": damping})
    assert weight(interactions_of(tmp_path, [row("a", "x", quantity=3)], configuration)) == pytest.approx(
        expected, abs=1e-5
    )


@pytest.mark.parametrize("returned", [row("a", "x", event_type="return"), row("a", "x", quantity=-1)])
def test_a_return_takes_a_purchase_back(tmp_path: Path, returned: dict[str, str]) -> None:
    rows = [row("a", "x", 0), row("a", "x", 0), returned, row("b", "x")]
    assert weight(interactions_of(tmp_path, rows)) == pytest.approx(1.0, abs=1e-5)


def test_a_return_of_minus_two_is_not_a_purchase(tmp_path: Path) -> None:
    rows = [row("a", "x", event_type="return", quantity=-2), row("b", "x")]
    assert weight(interactions_of(tmp_path, rows)) < 0


def test_more_returned_than_bought_speaks_against_the_item(tmp_path: Path) -> None:
    interactions = interactions_of(tmp_path, [row("a", "x", 5), row("a", "x", 0, "return"), row("b", "x")])
    assert weight(interactions) < 0
    assert interactions.matrix.data[0] < -1


@pytest.mark.parametrize(("stars", "expected"), [(5, 1.0), (4, 0.5), (1, -1.0)])
def test_a_rating_speaks_by_its_stars(tmp_path: Path, stars: float, expected: float) -> None:
    rated = row("a", "x", event_type="rating", rating=stars, quantity=3)
    assert weight(interactions_of(tmp_path, [rated])) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("stars", [3, 0])
def test_a_rating_in_the_middle_or_without_stars_says_nothing(tmp_path: Path, stars: float) -> None:
    path = write_rows(tmp_path / "a.csv", [row("a", "x", rating=0), row("a", "y", event_type="rating", rating=stars)])
    with read_files(path) as (_, summary, refused):
        assert (summary.events, summary.unused, summary.items, refused.total) == (1, 1, 1, 0)


def test_another_scale_has_another_middle(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", [row("a", "x", event_type="rating", stars=7.5)])
    configuration, mapping = TrainingConfiguration(neutral_rating=5.5), ColumnMapping(rating="stars")
    with read_files(path, configuration=configuration, mapping=mapping) as (store, _, _):
        assert store.table("SELECT amount FROM events")["amount"].tolist() == [1.0]


def test_a_bad_rating_outlives_the_purchase_it_is_about(tmp_path: Path) -> None:
    rows = [row("a", "x", 30, rating=0), row("a", "x", 30, "rating", rating=1)]
    assert weight(interactions_of(tmp_path, rows)) < 0


def test_ages_and_counts_follow_the_target_event(tmp_path: Path) -> None:
    rows = [row("a", "x", 8), row("a", "x", 4), row("a", "x", 1, "view"), row("a", "y", 2, "view")]
    interactions = interactions_of(tmp_path, rows)
    assert interactions.purchases.tolist() == [2, 0]
    assert interactions.ages.astype(float).tolist() == pytest.approx([4, 2], abs=0.01)


def test_recent_and_new_buyers_are_counted_within_the_window(tmp_path: Path) -> None:
    rows = [row("a", "x", 5), row("a", "x", 50), row("b", "x", 5), row("c", "x", 50), row("d", "x", 1, "view")]
    interactions = interactions_of(tmp_path, rows)
    assert interactions.recent_buyers.tolist() == [2]
    assert interactions.new_buyers.tolist() == [1]
    assert interactions.earlier_buyers.tolist() == [2]


def test_nothing_after_the_cut_is_known(tmp_path: Path) -> None:
    interactions = interactions_of(tmp_path, [row("a", "x"), row("a", "y", -1), row("b", "y", -2)])
    assert interactions.matrix.indptr.tolist() == [0, 1, 1]


def test_loading_in_pieces_equals_loading_at_once(tmp_path: Path) -> None:
    path = write_events(tmp_path / "a.parquet", customers=30, items=20)
    configuration = TrainingConfiguration()
    with read_files(path) as (store, summary, _):
        shape, cut = (summary.customers, summary.items), summary.last_second + 1
        whole = load_interactions(store, configuration, shape, cut, SilentProgress())
        pieces = load_interactions(store, configuration, shape, cut, SilentProgress(), events_per_piece=50)
    assert whole.matrix.indptr.tolist() == pieces.matrix.indptr.tolist()
    for name in ("purchases", "ages", "recent", "recent_buyers", "new_buyers", "earlier_buyers"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name)), name
    assert np.array_equal(whole.matrix.data, pieces.matrix.data)
    assert np.array_equal(whole.matrix.indices, pieces.matrix.indices)
    assert whole.matrix.has_canonical_format
