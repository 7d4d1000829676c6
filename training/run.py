"""One training run on events that were read: fits at each cut, what they are judged by, and the artifact."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact import ArtifactWriter
from models.backtest import Backtest
from models.errors import InvalidInputError
from models.item_model import ItemModel
from models.manifest import Manifest
from models.progress import Progress
from models.propensity import Propensity
from models.registry import Registry
from models.vocabulary import Vocabulary
from training.als import Factors, fit, random_factors
from training.attributes import Attributes
from training.backtests import backtest_of, rows_in
from training.chunk import chunk_of
from training.config import TrainingConfiguration
from training.evaluation import OURS, EvaluationSetting, Table, evaluate, measure
from training.event_store import EventStore, EventSummary
from training.features import Cutoff, item_statistics
from training.fresh import SENSIBLE, LearnedFold, learn_fold
from training.interactions import load_interactions
from training.labels import draw_labels, labels_of
from training.learned.tree_learner import TooLittleToLearnError, TreeLearner, reason_against
from training.learner import BlendLearner, Learner
from training.memory import give_back
from training.metrics import hits_of
from training.outlooks import outlooks_at
from training.propensity import fit_propensity
from training.ranking import ListMaker, RankedLists, Ranker
from training.refusals import RefusedReport
from training.scopes import judged_of
from training.shared_lists import popularity_of, shared_lists
from training.sources.collaborative import Collaborative
from training.sources.neighbors import ItemNeighbors, Neighbors, learn_neighbors
from training.sources.popular import Popular
from training.sources.rebuy import Rebuy
from training.sources.source import NOTHING
from training.sources.trending import trending
from training.warm_start import earlier_factors
from training.windows import Plan, Window, plan

DAYS_COUNTED = 56
"""Days whose events are counted in the manifest, so that a gap is noticed."""

CUSTOMERS_PER_FILE = 16_384
"""Lists are held in memory, and twice while they are written, for so many customers."""


class Run:
    """Takes the steps of one run; keeps between them only what the next one needs."""

    def __init__(
        self,
        store: EventStore,
        summary: EventSummary,
        refused: RefusedReport,
        configuration: TrainingConfiguration,
        attributes: Attributes,
        progress: Progress,
        earlier: Registry | None = None,
    ) -> None:
        """``earlier`` holds models whose factors a fit may begin with."""
        self._store = store
        self._earlier = earlier
        self._started_from: str | None = None
        self._summary = summary
        self._refused = refused
        self._configuration = configuration
        self._attributes = attributes
        self._progress = progress
        self._plan: Plan = plan(summary, configuration)
        self._factors: Factors | None = None
        self._why_not_learned: dict[str, str] = {}
        self._fitted_until = 0
        self._fold = LearnedFold(SENSIBLE)
        self._learner: Learner = self._choose_learner()
        self._propensity: Propensity | None = None
        self._evaluations: list[dict[str, Any]] = []
        self._losses: dict[str, list[float]] = {}
        self._backtest: Backtest | None = None

    def write(self, writer: ArtifactWriter) -> Manifest:
        """Fit at each cut in turn, each fit beginning where the earlier one ended, and write the last."""
        cutoff, ranker, neighbors = self._learn()
        final = self._plan.final
        if self._plan.windows[-1].first >= final:
            self._evaluate(cutoff, ranker, self._plan.windows[-1])
        interactions = self._write_model(writer, cutoff, ranker, neighbors)
        if self._backtest is not None:
            writer.write_backtest(self._backtest)
        return writer.finish(
            first_event_time=self._summary.first_time,
            last_event_time=datetime.fromtimestamp(min(self._summary.last_second, final - 1), UTC),
            counts=self._counts(interactions),
            configuration=self._configuration.for_manifest(),
            metrics={
                "evaluation": self._evaluation(),
                "days": self._store.events_per_day(final, DAYS_COUNTED),
                "ranker": self._learner.describe() | self._why_not_learned,
                "fold": self._fold.describe(),
                "started_from": self._started_from,
                "refused": dict(self._refused.counts),
                **({"factor_losses": self._losses} if self._losses else {}),
            },
        )

    def lists_of(self, customer_ids: Sequence[str]) -> NDArray[np.int64]:
        """Give the lists (n, list_size) of some customers at the last cut, NOTHING for whoever is unknown."""
        _, ranker, _ = self._learn()
        places = rows_in(customer_ids, self._store.ids("customers"))
        lists = np.full((len(places), self._configuration.list_size), NOTHING, dtype=np.int64)
        known = np.flatnonzero(places != NOTHING)
        if len(known):
            lists[known] = ListMaker(ranker, self._configuration).rank(places[known]).item_rows
        return lists

    def judge(self) -> Iterator[Table]:
        """Measure lists in one window after the other, each by what was learned before it."""
        first, *judging = self._plan.windows
        self._pass_through(first, judges=False, measures=False)
        for window in judging:
            fitted = self._cutoff_at(window.first)
            if fitted is None:
                continue
            cutoff = fitted[0]
            judged = self._judged_lists(self._learner.ranker_at(cutoff), window)
            if judged is not None:
                setting, lists = judged
                chunk = chunk_of(cutoff.interactions, setting.customer_rows)
                yield measure(judged_of(setting.labels, chunk), {OURS: lists.item_rows})
            if window is not judging[-1]:
                self._learner.learn_from(cutoff, window)

    def _learn(self) -> tuple[Cutoff, Ranker, ItemNeighbors]:
        """Fit what the model is made of; where trees turn out to have nothing to learn from, the blend, if it may."""
        try:
            return self._learn_all()
        except TooLittleToLearnError as error:
            if self._configuration.ranker != "auto":
                raise
            self._why_not_learned = {"not_learned": error.problem}
        self._learner = BlendLearner(self._store, self._configuration, self._progress)
        self._factors = None
        self._fitted_until = 0
        self._evaluations.clear()
        return self._learn_all()

    def _learn_all(self) -> tuple[Cutoff, Ranker, ItemNeighbors]:
        """Go through the windows and fit at each."""
        windows, final = self._plan.windows, self._plan.final
        passed = [window for window in windows if window.first < final]
        for window in passed:
            self._pass_through(window, judges=window is not windows[0], measures=window is passed[-1])
        last = self._cutoff_at(final)
        if last is None:
            raise InvalidInputError("until", "lies before every event; there is nothing to learn from")
        cutoff, neighbors = last
        return cutoff, self._learner.ranker_at(cutoff), neighbors

    def _choose_learner(self) -> Learner:
        configuration, span = self._configuration, self._plan.windows[0].stop - self._plan.windows[0].first
        if configuration.ranker != "blend":
            reason = reason_against(self._store, self._summary, configuration, span)
            if reason is None:
                shape = (self._summary.customers, self._summary.items)
                return TreeLearner(self._store, configuration, shape, span, self._attributes, self._progress)
            if configuration.ranker == "learned":
                raise InvalidInputError("ranker", reason)
            self._why_not_learned = {"not_learned": reason}
        return BlendLearner(self._store, configuration, self._progress)

    def _pass_through(self, window: Window, *, judges: bool, measures: bool) -> None:
        """Fit what is known before a window, let it judge and tell what scores mean if it does, learn from it."""
        fitted = self._cutoff_at(window.first)
        if fitted is None:
            return
        cutoff, neighbors = fitted
        if judges or (measures and self._learner.knows_before(window)):
            ranker = self._learner.ranker_at(cutoff)
            if measures:
                self._measure_propensity(cutoff, ranker, window)
                self._learn_fold(cutoff, neighbors, ranker, window)
            if judges:
                self._evaluate(cutoff, ranker, window)
        self._learner.learn_from(cutoff, window)

    def _measure_propensity(self, cutoff: Cutoff, ranker: Ranker, window: Window) -> None:
        """Compare the scores that all customers known then were given, a sample of them, with what they bought."""
        rows = np.flatnonzero(np.diff(cutoff.interactions.matrix.indptr)).astype(np.int64)
        if len(rows) > self._configuration.blend_customers:
            randomness = np.random.default_rng(self._configuration.seed)
            rows = np.sort(randomness.choice(rows, self._configuration.blend_customers, replace=False))
        lists = ListMaker(ranker, self._configuration).rank(rows)
        labels = labels_of(self._store, self._configuration, window, rows)
        listed = lists.item_rows != NOTHING
        bought = hits_of(lists.item_rows, labels).is_hit
        self._propensity = fit_propensity(lists.probabilities[listed], bought[listed])

    def _learn_fold(self, cutoff: Cutoff, neighbors: ItemNeighbors, ranker: Ranker, window: Window) -> None:
        """Learn how far fresh events move these lists, by replaying the window of a sample of its customers."""
        with self._progress.stage("replay", None):
            maker, items = ListMaker(ranker, self._configuration), self._items_at(cutoff, neighbors)
            self._fold = learn_fold(self._store, cutoff, items, maker, window)

    def _evaluation(self) -> dict[str, Any]:
        """Give the evaluation in the last window that judged, those in the earlier ones within it."""
        if not self._evaluations:
            return {}
        *earlier, last = self._evaluations
        return last | {"earlier_windows": earlier} if earlier else last

    def _cutoff_at(self, cut: int) -> tuple[Cutoff, ItemNeighbors] | None:
        """Fit everything on the events before the cut; None when there are none."""
        configuration, threads = self._configuration, self._configuration.resources.threads
        shape = (self._summary.customers, self._summary.items)
        give_back()
        interactions = load_interactions(self._store, configuration, shape, cut, self._progress)
        give_back()
        if interactions.matrix.nnz == 0:
            return None
        sizes = configuration.sources
        with self._progress.stage("fit", None):
            start, sweeps = self._start_at(cut, shape)
            losses: list[float] | None = [] if configuration.learning_curves else None
            self._factors = fit(interactions.matrix, start, configuration.factors, sweeps, threads, losses)
            self._fitted_until = cut
            neighbors = learn_neighbors(interactions, configuration.neighbors_per_item, configuration.seed, threads)
        if losses is not None:
            self._losses[datetime.fromtimestamp(cut, UTC).isoformat()] = losses
        proposers = (
            Neighbors(neighbors, sizes.neighbors),
            Collaborative(self._factors, sizes.collaborative),
            Popular(interactions.recent_buyers, sizes.popular),
            trending(interactions, sizes.trending),
            Rebuy(sizes.rebuy),
        )
        return Cutoff(interactions, item_statistics(interactions), self._factors, proposers), neighbors

    def _start_at(self, cut: int, shape: tuple[int, int]) -> tuple[Factors, int]:
        """Give what a fit begins with, and its sweeps: the newest factors that know nothing after the cut."""
        settings = self._configuration.factors
        earlier = earlier_factors(self._earlier, cut, settings.factors) if self._earlier else None
        if earlier is not None and earlier.last > self._fitted_until:
            self._started_from = earlier.model_version
            random = random_factors(shape, settings, self._configuration.seed)
            return earlier.over(random, self._store.ids("items")), settings.later_sweeps
        self._started_from = None
        if self._factors is not None:
            return self._factors, settings.later_sweeps
        return random_factors(shape, settings, self._configuration.seed), settings.first_sweeps

    def _evaluate(self, cutoff: Cutoff, ranker: Ranker, window: Window) -> None:
        """Evaluate a ranker that has seen nothing of the window."""
        found = self._judged_lists(ranker, window)
        if found is None:
            return
        setting, lists = found
        self._evaluations.append(evaluate(setting, cutoff, lists))
        judged = judged_of(setting.labels, chunk_of(cutoff.interactions, setting.customer_rows))
        customer_ids = self._store.ids_at("customers", setting.customer_rows)
        self._backtest = backtest_of(customer_ids, lists.item_rows, judged)

    def _judged_lists(self, ranker: Ranker, window: Window) -> tuple[EvaluationSetting, RankedLists] | None:
        """Make lists for customers who bought in a window, all or a sample; None when nobody did."""
        configuration = self._configuration
        in_window, rows, labels = draw_labels(self._store, configuration, window, configuration.evaluation_customers)
        if len(rows) == 0:
            return None
        with self._progress.stage("evaluate", len(rows)) as stage:
            lists = ListMaker(ranker, configuration).rank(rows)
            stage.advance(len(rows))
        setting = EvaluationSetting(window.first, window.stop, in_window, rows, labels, configuration.seed)
        return setting, lists

    def _write_model(self, writer: ArtifactWriter, cutoff: Cutoff, ranker: Ranker, neighbors: ItemNeighbors) -> int:
        writer.write_items(self._items_at(cutoff, neighbors))
        writer.write_factors(cutoff.factors.items)
        maker = ListMaker(ranker, self._configuration)
        outlooks = outlooks_at(self._store, self._configuration, self._summary.customers, self._plan.final)
        with self._progress.stage("lists", self._summary.customers) as stage:
            for first in range(0, self._summary.customers, CUSTOMERS_PER_FILE):
                stop = min(first + CUSTOMERS_PER_FILE, self._summary.customers)
                rows = np.arange(first, stop, dtype=np.int64)
                table = maker.table(rows, self._store.ids("customers", first, stop))
                writer.write_lists(replace(table, outlooks=outlooks[first:stop]))
                stage.advance(len(rows))
        return int(cutoff.interactions.matrix.nnz)

    def _items_at(self, cutoff: Cutoff, neighbors: ItemNeighbors) -> ItemModel:
        interactions = cutoff.interactions
        popularity = popularity_of(interactions)
        lists = shared_lists(self._store, self._configuration, interactions, popularity)
        vocabulary = Vocabulary(self._store.ids("items"))
        nearest = (neighbors.rows, neighbors.scores, neighbors.counts)
        return ItemModel(vocabulary, popularity, *nearest, lists, self._propensity)

    def _counts(self, interactions: int) -> Mapping[str, int]:
        summary = self._summary
        return {
            "rows": summary.rows,
            "events": summary.events,
            "refused": self._refused.total,
            "duplicates": summary.duplicates,
            "unused": summary.unused,
            "customers": summary.customers,
            "items": summary.items,
            "interactions": interactions,
        }
