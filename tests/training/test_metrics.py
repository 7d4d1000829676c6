import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.metrics import Labels, hits_of, ndcg, recall, reciprocal_rank, revenue_share
from training.sources.source import NOTHING


def labels_of(bought: list[dict[int, float]]) -> Labels:
    pairs = [(owner, item, value) for owner, items in enumerate(bought) for item, value in sorted(items.items())]
    columns = list(zip(*pairs, strict=True)) or [(), (), ()]
    return Labels(
        len(bought),
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.float64),
    )


LISTS = np.array([[5, 3, 1], [2, NOTHING, NOTHING], [7, 8, 9]], dtype=np.int64)
LABELS = labels_of([{3: 2.0, 1: 3.0, 4: 5.0}, {2: 10.0}, {}])
HITS = hits_of(LISTS, LABELS)


def test_recall_by_hand() -> None:
    assert recall(HITS, 2).value == pytest.approx((1 / 3 + 1) / 2)
    assert recall(HITS, 3).value == pytest.approx((2 / 3 + 1) / 2)


def test_ndcg_by_hand() -> None:
    gain = 1 / math.log2(3) + 1 / math.log2(4)
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(HITS, 3).value == pytest.approx((gain / best + 1) / 2)


def test_reciprocal_rank_by_hand() -> None:
    assert reciprocal_rank(HITS).value == pytest.approx((1 / 2 + 1) / 2)


def test_revenue_share_by_hand() -> None:
    assert revenue_share(HITS, 2).value == pytest.approx(12 / 20)
    assert revenue_share(HITS, 3).value == pytest.approx(15 / 20)


def test_nothing_bought_measures_zero() -> None:
    hits = hits_of(LISTS, labels_of([{}, {}, {}]))
    assert [measure.value for measure in (recall(hits, 2), ndcg(hits, 2), reciprocal_rank(hits))] == [0, 0, 0]
    assert revenue_share(hits, 2).value == 0


@st.composite
def _lists_and_labels(draw: st.DrawFn) -> tuple[NDArray[np.int64], Labels]:
    customers = draw(st.integers(1, 5))
    lists = [draw(st.permutations(range(12)))[:6] for _ in range(customers)]
    bought = [draw(st.dictionaries(st.integers(0, 11), st.floats(0, 100))) for _ in range(customers)]
    return np.array(lists, dtype=np.int64), labels_of(bought)


@given(_lists_and_labels())
def test_measures_stay_between_zero_and_one_and_recall_never_falls(case: tuple[NDArray[np.int64], Labels]) -> None:
    hits = hits_of(*case)
    recalls = [recall(hits, k).value for k in range(1, 7)]
    assert recalls == sorted(recalls)
    for ratio in (*(ndcg(hits, k) for k in range(1, 7)), reciprocal_rank(hits), revenue_share(hits, 3)):
        assert 0 <= ratio.value <= 1 + 1e-9


@given(_lists_and_labels())
def test_a_list_that_begins_with_all_that_was_bought_is_perfect(case: tuple[NDArray[np.int64], Labels]) -> None:
    _, labels = case
    perfect = np.full((labels.customers, 12), NOTHING, dtype=np.int64)
    for owner in range(labels.customers):
        items = labels.item_rows[labels.owners == owner]
        perfect[owner, : len(items)] = items
    hits = hits_of(perfect, labels)
    expected = 1.0 if len(labels.owners) else 0.0
    assert recall(hits, 12).value == pytest.approx(expected)
    assert ndcg(hits, 12).value == pytest.approx(expected)
