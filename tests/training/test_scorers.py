"""One contract for every model that scores the whole catalogue, and known answers for each."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.errors import InvalidInputError
from tests.training.scorers import SCORERS
from training.ranked_factors import RankedFactorSettings, fit_bpr, fit_lmf
from training.sources import item_pairs
from training.sources.linear_filter import FilterSettings, learn_bm25, learn_filter
from training.sources.local_ease import LocalEaseSettings, learn_local_ease
from training.sources.scorer import Scorer, best_of
from training.sources.spectral_ease import SpectralEaseSettings, learn_spectral_ease, strongest_eigenvectors

CUSTOMERS, ITEMS = 48, 24


def checkerboard(withheld: bool = True) -> csr_matrix:
    """Let even customers like the even items and odd ones the odd, but for the diagonal; two of each stay unknown.

    The last two customers have no history and nobody knows the last two items.
    """
    liked = (np.add.outer(np.arange(CUSTOMERS), np.arange(ITEMS)) % 2 == 0).astype(np.float32)
    if withheld:
        liked[np.arange(CUSTOMERS), np.arange(CUSTOMERS) % ITEMS] = 0
    liked[-2:] = 0
    liked[:, -2:] = 0
    return csr_matrix(liked)


def scores_of(scorer: Scorer, histories: csr_matrix) -> NDArray[np.float32]:
    return scorer.score(np.arange(histories.shape[0]), histories)


@pytest.mark.parametrize("name", SCORERS)
class TestEveryScorer:
    def test_recommends_the_withheld_diagonal(self, name: str) -> None:
        histories = checkerboard()
        scores = scores_of(SCORERS[name](histories, 1, 1), histories)
        scores[histories.nonzero()] = -np.inf
        known = np.arange(ITEMS - 2)
        assert np.array_equal(scores[known].argmax(axis=1), known)

    def test_scores_the_whole_vocabulary_finitely(self, name: str) -> None:
        histories = checkerboard()
        scores = scores_of(SCORERS[name](histories, 1, 1), histories)
        assert scores.shape == histories.shape
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_says_nothing_of_an_empty_history(self, name: str) -> None:
        histories = checkerboard()
        assert not scores_of(SCORERS[name](histories, 1, 1), histories)[-2:].any()

    def test_says_nothing_of_an_item_that_nobody_knows(self, name: str) -> None:
        histories = checkerboard()
        assert not scores_of(SCORERS[name](histories, 1, 1), histories)[:, -2:].any()

    def test_gives_the_same_bytes_for_the_same_seed_on_any_number_of_threads(self, name: str) -> None:
        histories = checkerboard()
        one, two = (scores_of(SCORERS[name](histories, 3, threads), histories) for threads in (1, 2))
        assert one.tobytes() == two.tobytes()

    def test_learns_from_an_empty_shop(self, name: str) -> None:
        nobody = csr_matrix(np.zeros((3, 5), dtype=np.float32))
        assert not scores_of(SCORERS[name](nobody, 1, 1), nobody).any()

    def test_leaves_what_it_learns_from_as_it_was(self, name: str) -> None:
        histories = checkerboard()
        before = histories.copy()
        scores_of(SCORERS[name](histories, 1, 1), histories)
        assert np.array_equal(histories.toarray(), before.toarray())


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_local_ease_with_everyone_as_neighbour_is_a_ridge_regression(seed: int, items: int) -> None:
    matrix = csr_matrix(np.random.default_rng(seed).random((9, items), dtype=np.float32).round())
    plain = LocalEaseSettings(0.0, 0.0, 0.0, regularization=0.5, neighbors=items)
    weights = learn_local_ease(matrix, plain, 1, 1).weights.toarray()
    pairs = (matrix.T @ matrix).toarray().astype(np.float64)
    known = np.diagonal(pairs) > 0
    ridge = 0.5 * np.diagonal(pairs)[known].mean() if known.any() else 1
    for item in range(items):
        others = np.flatnonzero((pairs[item] > 0) & (np.arange(items) != item))
        system = pairs[np.ix_(others, others)] + ridge * np.eye(len(others))
        assert np.allclose(weights[others, item], np.linalg.solve(system, pairs[others, item]), atol=1e-4)


def test_local_ease_learns_only_what_is_to_be_proposed() -> None:
    histories = checkerboard()
    wanted = csr_matrix(histories.toarray() * (np.arange(ITEMS) < 5).astype(np.float32))
    everything = learn_local_ease(histories, LocalEaseSettings(), 1, 1).weights.toarray()
    some = learn_local_ease(histories, LocalEaseSettings(), 1, 1, wanted).weights.toarray()
    assert np.allclose(some[:, :5], everything[:, :5])
    assert not some[:, 5:].any()


def test_the_filter_weighs_by_the_degrees_of_customers_and_items() -> None:
    matrix = csr_matrix(np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0]], dtype=np.float32))
    weights = learn_filter(matrix, FilterSettings(1.0, 0.5, 2.0), 1).weights.toarray()
    assert weights[0, 1] == pytest.approx((1 / 2 + 1 / 3) * 3**-0.5 * 2**-2)
    assert weights[1, 0] == pytest.approx((1 / 2 + 1 / 3) * 2**-0.5 * 3**-2)
    assert not np.diagonal(weights).any()


def test_the_filter_keeps_each_proposed_items_largest_weights() -> None:
    matrix = csr_matrix(np.random.default_rng(1).random((30, 9), dtype=np.float32))
    everything = learn_filter(matrix, FilterSettings(), 1).weights.toarray()
    two = learn_filter(matrix, FilterSettings(neighbors=2), 1).weights.toarray()
    assert (np.count_nonzero(two, axis=0) == 2).all()
    assert np.allclose(two.max(axis=0), everything.max(axis=0))


def test_one_behaviour_foresees_another() -> None:
    views = csr_matrix(np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32))
    purchases = csr_matrix(np.array([[0, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=np.float32))
    by_filter = learn_filter(views, FilterSettings(), 1, purchases).weights.toarray()
    by_ease = learn_local_ease(views, LocalEaseSettings(), 1, 1, purchases).weights.toarray()
    for weights in (by_filter, by_ease):
        assert weights[0, 1] > 0
        assert np.count_nonzero(weights) == 1


def test_bm25_holds_back_customers_who_like_everything() -> None:
    matrix = csr_matrix(np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 1, 1]], dtype=np.float32))
    weights = learn_bm25(matrix, 4, 1).weights.toarray()
    assert weights[0, 1] > weights[0, 2] == pytest.approx(weights[0, 3])


def test_spectral_ease_of_full_rank_is_ease() -> None:
    matrix = csr_matrix(np.random.default_rng(1).random((40, 8), dtype=np.float32).round())
    plain = SpectralEaseSettings(0.0, 0.0, regularization=0.05, rank=8)
    pairs = (matrix.T @ matrix).toarray().astype(np.float64)
    inverse = np.linalg.inv(pairs + 0.05 * np.linalg.eigvalsh(pairs).max() * np.eye(8))
    weights = np.eye(8) - inverse / np.diagonal(inverse)
    found = learn_spectral_ease(matrix, plain, 1, 1).score(np.arange(8), csr_matrix(np.eye(8, dtype=np.float32)))
    assert np.allclose(found, weights, atol=1e-4)


def test_eigenvectors_are_found_by_falling_value() -> None:
    matrix = csr_matrix(np.random.default_rng(1).random((60, 30), dtype=np.float32))
    values, vectors = strongest_eigenvectors(matrix, 3, 1, 2)
    assert np.allclose(values, np.linalg.eigvalsh((matrix.T @ matrix).toarray())[::-1][:3], rtol=1e-3)
    assert np.allclose(vectors.T @ vectors, np.eye(3), atol=1e-4)


def test_long_histories_are_thinned_until_the_pairs_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_pairs, "MAXIMAL_PAIRS", 2_000)
    matrix = csr_matrix(np.vstack([np.ones((5, 100)), np.eye(5, 100)]).astype(np.float32))
    thinned = item_pairs.thin(matrix, 1)
    lengths = np.diff(thinned.indptr)
    assert 1_000 < (lengths**2).sum() < 4_000
    assert (lengths[5:] == 1).all()
    assert np.array_equal(thinned.toarray(), item_pairs.thin(matrix, 1).toarray())


def test_short_histories_are_never_thinned() -> None:
    matrix = checkerboard()
    assert item_pairs.thin(matrix, 1) is matrix


def test_the_best_are_found_in_falling_order_and_equal_ones_as_they_stand() -> None:
    rows, values = best_of(np.array([[1, 3, 2, 3, 0], [5, 5, 5, 5, 5]], dtype=np.float32), 3)
    assert rows.tolist() == [[1, 3, 2], [0, 1, 2]]
    assert values.tolist() == [[3, 3, 2], [5, 5, 5]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 40))
def test_the_best_are_those_of_a_stable_sort(seed: int, columns: int, count: int) -> None:
    randomness = np.random.default_rng(seed)
    # Some rows of mostly equal values, some of hardly any.
    scores = np.vstack([randomness.integers(0, 3, (5, columns)), randomness.integers(0, 10_000, (5, columns))])
    rows, values = best_of(scores.astype(np.float32), count)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    assert rows.tolist() == expected.tolist()
    assert values.tolist() == np.take_along_axis(scores, expected, axis=1).tolist()


@pytest.mark.parametrize("learn", [fit_bpr, fit_lmf])
def test_a_fit_that_diverges_is_refused(learn: Callable[[csr_matrix, RankedFactorSettings, int], object]) -> None:
    with pytest.raises(InvalidInputError, match="factors: the fit diverged"):
        learn(checkerboard(), RankedFactorSettings(4, 1e30, 1e10, 20), 1)


def test_a_dislike_is_not_a_like_to_a_model_that_ranks() -> None:
    disliked = checkerboard()
    disliked.data[0] = -1
    without = checkerboard()
    without.data[0] = 0
    without.eliminate_zeros()
    first, second = (fit_bpr(matrix, RankedFactorSettings(4, 0.1, 0.001, 5), 1) for matrix in (disliked, without))
    assert np.array_equal(first.items, second.items)
