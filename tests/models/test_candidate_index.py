import numpy as np
import pytest
from hypothesis import given, strategies

from models.candidate_index import BLOCK, CandidateIndex, CandidateIndexBuilder, Columns
from models.errors import PreconditionError

ITEMS = 5

Lists = list[dict[int, float]]

lists_of_customers = strategies.lists(
    strategies.dictionaries(
        strategies.integers(0, ITEMS - 1), strategies.sampled_from([-3.5, -0.0, 0.0, 0.25, 1.0, 7e-8, 65504.0])
    ),
    max_size=12,
)


def columns(lists: Lists, first: int = 0) -> Columns:
    """Lay lists out; the digest of a customer falls as their number rises."""
    names = [b"customer-%d" % (first + number) for number in range(len(lists))]
    return Columns(
        names,
        np.array([2**63 - first - number for number in range(len(lists))], np.uint64),
        np.array([len(one) for one in lists], np.int64),
        np.array([row for one in lists for row in one], np.uint32),
        np.array([score for one in lists for score in one.values()], np.float16),
    )


def indexed(*portions: Columns, items: int = ITEMS) -> CandidateIndex:
    builder = CandidateIndexBuilder(items)
    for portion in portions:
        builder.add(portion)
    return builder.finish()


@given(
    lists=lists_of_customers, rows=strategies.sets(strategies.integers(0, ITEMS - 1)), cut=strategies.integers(0, 12)
)
def test_customers_are_ranked_by_the_best_of_the_items_and_then_by_digest(
    lists: Lists, rows: set[int], cut: int
) -> None:
    index = indexed(columns(lists[:cut]), columns(lists[cut:], len(lists[:cut])))
    ranking = index.rank(np.array(sorted(rows), np.uint32))
    best = {n: max(one[row] for row in rows & one.keys()) for n, one in enumerate(lists) if rows & one.keys()}
    expected = sorted(best, key=lambda number: (-best[number], -number))
    assert [index.customer_id(place) for place in ranking.positions.tolist()] == [f"customer-{n}" for n in expected]
    np.testing.assert_array_equal(ranking.scores, np.array([best[n] for n in expected], np.float16).astype(np.float32))
    assert len(index) == len(lists)


def test_more_customers_than_one_block_are_found_in_all_of_them() -> None:
    lists: Lists = [{number % 3: number % 7} for number in range(BLOCK + 5)]
    index = indexed(columns(lists))
    ranking = index.rank(np.array([1], np.uint32))
    assert len(ranking) == sum(1 in one for one in lists)
    found = {int(index.customer_id(place).removeprefix("customer-")) for place in ranking.positions.tolist()}
    assert found == {number for number, one in enumerate(lists) if 1 in one}
    assert index.size < 80 * len(lists)


def test_a_customer_who_was_taken_twice_is_found_once() -> None:
    index = indexed(columns([{1: 0.5}]), columns([{1: 0.5}]))
    assert len(index.rank(np.array([1], np.uint32))) == 1


def test_an_index_of_nobody_finds_nobody() -> None:
    assert len(indexed().rank(np.array([1], np.uint32))) == 0


@pytest.mark.parametrize("damaged", [{ITEMS: 1.0}, {1: float("nan")}, {1: float("inf")}], ids=str)
def test_what_is_no_candidate_is_refused(damaged: dict[int, float]) -> None:
    with pytest.raises(PreconditionError, match="publish"):
        indexed(columns([damaged]))
