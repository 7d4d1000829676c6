"""Behaviours without dates: what is held out, how it is tuned, what is learned from it."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.progress import SilentProgress
from training.config import FactorSettings
from training.metrics import hits_of, recall
from training.sources.source import NOTHING
from training.undated import tuning
from training.undated.behaviors import Behaviors
from training.undated.climbing import Climb
from training.undated.ensemble import MODELS, EnsembleSettings, fit_ensemble, fit_factors
from training.undated.holdout import cells_where, draw_trial, hold_out, labels_of, random_places, unseen_lists
from training.undated.mixture import Mixture, of_one_spread
from training.undated.opinions import learn_opinions
from training.undated.pair_frames import PairFrames, traits_of
from training.undated.pair_ranker import PairRankerSettings, learn_pair_ranker

CUSTOMERS, ITEMS, TASTES = 120, 60, 4


def tastes(share: float, seed: int) -> csr_matrix:
    """Let customer c like items of taste c modulo TASTES, a share of them at random, and a few others."""
    randomness = np.random.default_rng(seed)
    likes = np.equal.outer(np.arange(CUSTOMERS) % TASTES, np.arange(ITEMS) % TASTES)
    drawn = randomness.random(likes.shape) < np.where(likes, share, share / 20)
    return csr_matrix(drawn.astype(np.float32))


def shop() -> Behaviors:
    views, purchases = tastes(0.5, 1), tastes(0.4, 2)
    seen = views.maximum(purchases.multiply(tastes(0.9, 3))).tocsr()
    seen.sort_indices()
    return Behaviors("purchase", {"view": seen, "purchase": purchases})


class TestHoldingOut:
    @given(st.integers(0, 2**32 - 1), st.integers(0, 5))
    @settings(max_examples=30, deadline=None)
    def test_parts_the_cells(self, seed: int, count: int) -> None:
        matrix = tastes(0.3, 1)
        left, held = hold_out(matrix, np.full(CUSTOMERS, count), seed)
        assert np.array_equal((left + held).toarray(), matrix.toarray())
        assert left.multiply(held).nnz == 0
        assert np.array_equal(np.diff(held.indptr), np.minimum(count, np.diff(matrix.indptr)))

    def test_draws_the_same_for_the_same_seed_only(self) -> None:
        matrix = tastes(0.3, 1)
        assert np.array_equal(random_places(matrix, 1), random_places(matrix, 1))
        assert not np.array_equal(random_places(matrix, 1), random_places(matrix, 2))

    def test_lists_leave_out_what_is_seen(self) -> None:
        scores = np.array([[3, 2, 1], [1, 2, 3]], dtype=np.float32)
        seen = csr_matrix(np.array([[1, 0, 0], [1, 1, 1]], dtype=np.float32))
        assert unseen_lists(scores, seen, 2).tolist() == [[1, 2], [NOTHING, NOTHING]]

    def test_a_trial_shows_its_models_nothing_of_what_it_judges_by(self) -> None:
        matrix = tastes(0.4, 1)
        trial = draw_trial(matrix, 0.25, 50, 30, 1)
        judged = trial.customer_rows[trial.labels.owners], trial.item_rows[trial.labels.item_rows]
        assert len(judged[0]) > 50
        assert np.asarray(matrix[judged]).all()
        assert not np.asarray(trial.known[judged]).any()

    def test_a_trial_finds_what_was_held_out_best(self) -> None:
        trial = draw_trial(tastes(0.4, 1), 0.25, 50, 30, 1)
        perfect = np.zeros((50, 30), dtype=np.float32)
        perfect[trial.labels.owners, trial.labels.item_rows] = 1
        assert trial.quality(perfect) == pytest.approx(2)
        assert trial.quality(-perfect) < 2


class TestClimbing:
    GRID: Mapping[str, tuple[float, ...]] = {"x": (0, 1, 2, 3, 4, 5), "y": (0, 1, 2, 3)}

    @staticmethod
    def quality(point: Mapping[str, float]) -> float:
        return -((point["x"] - 4) ** 2) - (point["y"] - 1) ** 2 + 0.5 * point["x"] * point["y"]

    @given(st.integers(0, 5), st.integers(0, 3))
    def test_ends_where_no_single_step_helps(self, x: int, y: int) -> None:
        climb = Climb(self.quality, self.GRID, 200)
        best = climb.best_from({"x": x, "y": y})
        assert self.quality(best) == max(climb.tried.values())
        for other in [{**best, "x": value} for value in self.GRID["x"]] + [
            {**best, "y": value} for value in self.GRID["y"]
        ]:
            assert self.quality(other) <= self.quality(best)

    def test_measures_no_more_points_than_the_budget(self) -> None:
        climb = Climb(self.quality, self.GRID, 3)
        best = climb.best_from({"x": 0, "y": 0})
        assert len(climb.tried) == 3
        assert self.quality(best) == max(climb.tried.values())

    def test_keeps_what_is_not_on_the_grid(self) -> None:
        assert Climb(self.quality, self.GRID, 50).best_from({"x": 4, "y": 1, "rank": 7})["rank"] == 7


class TestEnsemble:
    def test_the_spread_is_the_standard_deviation_and_equal_scores_have_none(self) -> None:
        scores = np.random.default_rng(1).normal(3, 0.2, (4, 999)).astype(np.float32)
        scores[3] = 0.7
        expected = np.vstack([scores[:3] / scores[:3].std(axis=1, keepdims=True), scores[3:]])
        assert np.allclose(of_one_spread(scores), expected, rtol=1e-4)

    def test_mixes_scores_of_one_spread(self) -> None:
        class Times:
            def __init__(self, factor: float) -> None:
                self.factor = np.float32(factor)

            def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
                del customer_rows
                return histories.toarray() * self.factor

        histories = csr_matrix(np.array([[0, 2, 4], [0, 0, 0]], dtype=np.float32))
        mixed = Mixture((Times(1), Times(1000), Times(5)), (1.0, 2.0, 0.0)).score(np.arange(2), histories)
        assert mixed[0] == pytest.approx(3 * np.array([0, 2, 4]) / np.std([0, 2, 4]), rel=1e-5)
        assert not mixed[1].any()

    def test_tuned_on_one_part_it_finds_the_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tuning, "TRIAL_CUSTOMERS", 60)
        known, held = hold_out(tastes(0.5, 1), np.full(CUSTOMERS, 1), 5)
        chosen = tuning.tune_ensemble(known, 1, 1, SilentProgress())
        assert len(chosen.settings.weights) == len(MODELS)
        scores = fit_ensemble(known, chosen.settings, 1, 1, chosen.factors).score(np.arange(CUSTOMERS), known)
        found = recall(hits_of(unseen_lists(scores, known, 10), labels_of(held)), 10).value
        assert found > 0.7

    def test_is_tuned_to_the_same_settings_for_the_same_seed(self) -> None:
        known = tastes(0.4, 1)
        first, second = (tuning.tune_ensemble(known, 3, threads, SilentProgress()) for threads in (1, 2))
        assert first.settings == second.settings
        assert np.array_equal(first.factors.items, second.factors.items)

    def test_begins_at_factors_that_are_there(self) -> None:
        known, part = tastes(0.4, 1), tastes(0.3, 1)
        settings = EnsembleSettings().factors.model_copy(update={"later_sweeps": 1})
        begun = fit_factors(part, settings, 1, 1)
        once, again = (fit_factors(known, settings, 1, 1, start) for start in (None, begun))
        assert not np.array_equal(once.items, again.items)
        assert again.items is begun.items

    def test_a_small_shop_gets_few_factors(self) -> None:
        factors = fit_factors(tastes(0.3, 1), EnsembleSettings().factors, 1, 1)
        assert factors.items.shape == (ITEMS, ITEMS // 20)
        assert isinstance(EnsembleSettings().factors, FactorSettings)


class TestBehaviors:
    def test_what_leads_to_the_target_more_often_is_stronger(self) -> None:
        views = csr_matrix(np.array([[1, 1, 1, 1]], dtype=np.float32))
        carts = csr_matrix(np.array([[0, 1, 1, 0]], dtype=np.float32))
        bought = csr_matrix(np.array([[0, 0, 1, 0]], dtype=np.float32))
        united = Behaviors("purchase", {"purchase": bought, "cart": carts, "view": views}).united()
        assert np.allclose(united.toarray(), np.log1p([[1, 3, 6, 1]]))

    def test_folds_hold_out_different_cells_of_the_target_alone(self) -> None:
        behaviors = shop()
        folds = list(behaviors.folds(2, 1))
        assert folds[0][1].multiply(folds[1][1]).nnz == 0
        for left, held in folds:
            assert np.array_equal((left.targets + held).toarray(), behaviors.targets.toarray())
            assert left.matrices["view"] is behaviors.matrices["view"]
            assert held.nnz >= CUSTOMERS // 2

    def test_short_histories_are_not_held_out(self) -> None:
        two = csr_matrix(np.array([[1, 1, 0]], dtype=np.float32))
        ((left, held),) = Behaviors("purchase", {"purchase": two}).folds(1, 1)
        assert held.nnz == 0
        assert left.targets.nnz == 2

    def test_ratios_of_what_is_seldom_are_near_the_usual_one(self) -> None:
        views = np.zeros((100, 2), dtype=np.float32)
        views[:, 0], views[0, 1] = 1, 1
        bought = views.copy()
        bought[50:, 0] = 0
        traits = traits_of(Behaviors("purchase", {"view": csr_matrix(views), "purchase": csr_matrix(bought)}), 0)
        ratios = traits.values[:, list(traits.names).index("purchase-of-view")]
        assert ratios[0] == pytest.approx(0.5, abs=0.01)
        assert 0.5 < ratios[1] < 0.6


class TestPairRanker:
    def test_candidates_are_what_was_met_and_what_models_name_but_nothing_bought(self) -> None:
        behaviors = shop()
        frame = PairFrames.over(behaviors, learn_opinions(behaviors, 1, 1)).frame(np.arange(CUSTOMERS))
        pairs = set(zip(frame.owners.tolist(), frame.item_rows.tolist(), strict=True))
        bought = set(zip(*(part.tolist() for part in behaviors.targets.nonzero()), strict=True))
        met = set(zip(*(part.tolist() for part in behaviors.matrices["view"].nonzero()), strict=True))
        assert len(pairs) == len(frame.owners)
        assert not pairs & bought
        assert met - bought <= pairs
        assert len(pairs) > len(met - bought)

    def test_every_feature_is_named_and_finite(self) -> None:
        behaviors = shop()
        frames = PairFrames.over(behaviors, learn_opinions(behaviors, 1, 1))
        frame = frames.frame(np.arange(20))
        assert frame.features.shape == (len(frame.owners), len(frames.names))
        assert frame.features.dtype == np.float32
        assert np.isfinite(frame.features).all()
        assert len(set(frames.names)) == len(frames.names)

    def test_finds_what_was_held_out_better_than_chance(self) -> None:
        behaviors = shop()
        ((left, held),) = behaviors.folds(1, 9)
        ranker = learn_pair_ranker(left, PairRankerSettings(rounds=40), 1, 1, SilentProgress())
        rows = np.flatnonzero(np.diff(held.indptr))
        lists = ranker.lists(rows, left.targets, 10)
        assert recall(hits_of(lists, labels_of(held[rows])), 10).value > 0.5
        bought = left.targets.toarray()[rows[:, np.newaxis], np.maximum(lists, 0)]
        assert not (bought * (lists != NOTHING)).any()

    def test_hides_what_is_hidden(self) -> None:
        behaviors = shop()
        ranker = learn_pair_ranker(behaviors, PairRankerSettings(rounds=5), 1, 1, SilentProgress())
        hidden = behaviors.targets.maximum(behaviors.matrices["view"]).tocsr()
        lists = ranker.lists(np.arange(30), hidden, 10)
        owners, places = np.nonzero(lists != NOTHING)
        assert len(owners) > 100
        assert not np.asarray(hidden[owners, lists[owners, places]]).any()

    def test_is_the_same_for_the_same_seed_on_any_number_of_threads(self) -> None:
        rankers = [learn_pair_ranker(shop(), PairRankerSettings(rounds=5), 1, n, SilentProgress()) for n in (1, 2)]
        first, second = (ranker.lists(np.arange(30), shop().targets, 5) for ranker in rankers)
        assert np.array_equal(first, second)


def test_cells_are_kept_in_their_rows() -> None:
    matrix = tastes(0.3, 1)
    kept = matrix.indices % 2 == 0
    assert np.array_equal(cells_where(matrix, kept).toarray(), matrix.toarray() * (np.arange(ITEMS) % 2 == 0))
