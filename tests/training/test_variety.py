import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from training.sources.source import NOTHING
from training.variety import (
    by_popularity,
    concentration,
    coverage,
    exposure,
    inner_diversity,
    novelty,
    personalization,
    popularity_lift,
)

LISTS = np.array([[5, 3, 1], [2, NOTHING, NOTHING], [7, 8, 9]], dtype=np.int64)
_lists = arrays(np.int64, st.tuples(st.integers(2, 6), st.integers(1, 5)), elements=st.integers(NOTHING, 9))


def test_coverage_counts_items_and_not_padding() -> None:
    assert coverage(LISTS[:, :1], 10) == pytest.approx(0.3)
    assert coverage(LISTS, 10) == pytest.approx(0.7)


def test_novelty_is_in_bits() -> None:
    assert novelty(np.array([[0, 1], [2, NOTHING]]), np.array([8, 4, 2]), 8) == pytest.approx((0 + 1 + 2) / 3)


def test_the_same_list_for_everyone_is_not_personal_and_disjoint_lists_are() -> None:
    assert personalization(exposure(np.array([[1, 2]] * 5), 4), 5) == pytest.approx(0)
    assert personalization(exposure(np.array([[0, 1], [2, 3]]), 4), 2) == pytest.approx(1)


@given(_lists)
def test_personalization_is_what_counting_every_pair_gives(lists: NDArray[np.int64]) -> None:
    lists = np.array([sorted({*row.tolist()} - {NOTHING}) + [NOTHING] * 5 for row in lists], dtype=object)
    square = np.array([list(row)[:5] for row in lists], dtype=np.int64)
    own = [set(row[row != NOTHING].tolist()) for row in square]
    places = sum(len(items) for items in own)
    shared = sum(len(a & b) for i, a in enumerate(own) for j, b in enumerate(own) if i != j) / (len(own) - 1)
    expected = 1 - shared / places if places else 0
    assert personalization(exposure(square, 10), len(square)) == pytest.approx(expected)


def test_one_item_everywhere_is_as_concentrated_as_can_be() -> None:
    assert concentration(np.array([[0], [0], [0]]), 10) == pytest.approx(0.9)
    assert concentration(np.array([[0], [1], [2], [3]]), 4) == pytest.approx(0)


def test_popularity_lift_compares_lists_with_the_customers_own_taste() -> None:
    buyers = np.array([10, 20, 40])
    owners, items = np.array([0, 1]), np.array([0, 1])
    assert popularity_lift(np.array([[0], [1]]), buyers, owners, items) == pytest.approx(0)
    assert popularity_lift(np.array([[1], [2]]), buyers, owners, items) == pytest.approx(1)


def test_inner_diversity_is_one_minus_the_mean_cosine_of_pairs() -> None:
    vectors = np.array([[1, 0], [0, 2], [3, 0]], dtype=np.float32)
    assert inner_diversity(np.array([[0, 1]]), vectors) == pytest.approx(1)
    assert inner_diversity(np.array([[0, 2, NOTHING]]), vectors) == pytest.approx(0, abs=1e-6)
    assert inner_diversity(np.array([[0, 1, 2], [NOTHING, NOTHING, NOTHING]]), vectors) == pytest.approx(2 / 3)


def test_tenths_of_the_catalogue_share_out_every_place_and_every_purchase() -> None:
    parts = by_popularity(LISTS, np.arange(20), np.array([19, 0]), np.arange(20))
    assert sum(part["listed"] for part in parts) == pytest.approx(1, abs=1e-4)
    assert [part["bought"] for part in parts] == [0.5, *[0.0] * 8, 0.5]
    assert parts[5]["covered"] == 1.0
