"""The training run, from sources to an artifact in the registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from models.artifact import ArtifactWriter
from models.backtest import NO_ITEM, WIDTH, Backtest
from models.erasures import ErasureList, recognises
from models.errors import InvalidInputError
from models.item_model import ItemModel
from models.manifest import Manifest
from models.progress import Progress, SilentProgress
from models.registry import Registry
from models.vocabulary import Vocabulary
from training.als import Factors, fit, random_factors
from training.blend import Examples, fit_blend, sensible_blend
from training.chunk import chunk_of
from training.config import ColumnMapping, TrainingConfiguration
from training.evaluation import EvaluationSetting, evaluate
from training.event_store import EventStore, EventSummary
from training.features import Cutoff, item_statistics
from training.files import find_files
from training.interactions import load_interactions
from training.labels import draw_labels
from training.memory import give_back
from training.people import People
from training.ranking import CUSTOMERS_PER_CHUNK, Ranker
from training.refusals import RefusedReport
from training.rows import RowRules
from training.shared_lists import popularity_of, shared_lists
from training.sources.collaborative import Collaborative
from training.sources.neighbors import ItemNeighbors, Neighbors, learn_neighbors
from training.sources.popular import Popular
from training.sources.rebuy import Rebuy
from training.sources.source import NOTHING
from training.windows import Plan, Window, plan

CUSTOMERS_PER_FILE = 16_384
"""Lists are held in memory, and twice while they are written, for so many customers."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Is what a run leaves: the manifest of the new artifact, and what was refused on the way."""

    manifest: Manifest
    refused: RefusedReport


def train(
    sources: Sequence[str],
    mapping: ColumnMapping,
    configuration: TrainingConfiguration,
    registry: Registry,
    progress: Progress | None = None,
    first_ids: Mapping[str, str] | None = None,
) -> TrainingResult:
    """Learn from the sources and write an artifact into the registry; nothing is promoted.

    ``first_ids`` says for linked ids as which one their customer is learned. Whoever the registry's list of erasures
    recognises is left out.

    The artifact is the same, byte by byte, for the same events, mapping, configuration and versions of the libraries.
    InvalidInputError names the file, column or field that cannot be used.
    """
    watched = progress or SilentProgress()
    files = find_files(sources)
    with (
        threadpool_limits(limits=1, user_api="blas"),
        EventStore(configuration.resources, mapping.time_zone) as store,
    ):
        people = People(recognises(ErasureList(registry.root).all()), first_ids or {})
        summary, refused = store.read(files, RowRules(mapping, configuration, datetime.now(UTC)), watched, people)
        with registry.writer() as writer:
            manifest = _Run(store, summary, refused, configuration, watched).write(writer)
    return TrainingResult(manifest, refused)


class _Run:
    """Takes the steps of one run; keeps between them only what the next one needs."""

    def __init__(
        self,
        store: EventStore,
        summary: EventSummary,
        refused: RefusedReport,
        configuration: TrainingConfiguration,
        progress: Progress,
    ) -> None:
        self._store = store
        self._summary = summary
        self._refused = refused
        self._configuration = configuration
        self._progress = progress
        self._plan: Plan = plan(summary, configuration)
        self._factors: Factors | None = None
        self._examples = Examples()
        self._blend = sensible_blend()
        self._evaluations: list[dict[str, Any]] = []
        self._backtest: Backtest | None = None

    def write(self, writer: ArtifactWriter) -> Manifest:
        """Fit at each cut in turn, each fit beginning where the earlier one ended, and write the last."""
        windows, final = self._plan.windows, self._plan.final
        for number, window in enumerate(windows):
            if window.first < final:
                self._pass_through(window, judges=number > 0)
        self._examples = Examples()
        last = self._cutoff_at(final)
        if last is None:
            raise InvalidInputError("until", "lies before every event; there is nothing to learn from")
        cutoff, neighbors = last
        if windows[-1].first >= final:
            self._evaluate(cutoff, windows[-1])
        interactions = self._write_model(writer, cutoff, neighbors)
        if self._backtest is not None:
            writer.write_backtest(self._backtest)
        return writer.finish(
            first_event_time=self._summary.first_time,
            last_event_time=datetime.fromtimestamp(min(self._summary.last_second, final - 1), UTC),
            counts=self._counts(interactions),
            configuration=self._configuration.for_manifest(),
            metrics={
                "evaluation": self._evaluation(),
                "blend": self._blend.describe(),
                "refused": dict(self._refused.counts),
            },
        )

    def _pass_through(self, window: Window, *, judges: bool) -> None:
        """Fit what is known before a window, let the window judge it if it does, and learn from the window."""
        fitted = self._cutoff_at(window.first)
        if fitted is None:
            return
        if judges:
            self._evaluate(fitted[0], window)
        self._learn_from(fitted[0], window)

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
        settings, sizes = configuration.factors, configuration.sources
        first = self._factors is None
        start = self._factors or random_factors(shape, settings, configuration.seed)
        sweeps = settings.first_sweeps if first else settings.later_sweeps
        with self._progress.stage("fit", None):
            self._factors = fit(interactions.matrix, start, settings, sweeps, threads)
            neighbors = learn_neighbors(interactions, configuration.neighbors_per_item, configuration.seed, threads)
        proposers = (
            Neighbors(neighbors, sizes.neighbors),
            Collaborative(self._factors, sizes.collaborative),
            Popular(interactions.recent_buyers, sizes.popular),
            Rebuy(sizes.rebuy),
        )
        return Cutoff(interactions, item_statistics(interactions), self._factors, proposers), neighbors

    def _learn_from(self, cutoff: Cutoff, window: Window) -> None:
        """Fit the blend, anew, to what sampled customers were proposed and whether they bought it in the window."""
        _, rows, labels = draw_labels(self._store, self._configuration, window, self._configuration.blend_customers)
        with self._progress.stage("blend", len(rows)) as stage:
            for start in range(0, len(rows), CUSTOMERS_PER_CHUNK):
                part = rows[start : start + CUSTOMERS_PER_CHUNK]
                candidates, _ = cutoff.unite(chunk_of(cutoff.interactions, part))
                bought = labels.find(candidates.owners + start, candidates.item_rows) != NOTHING
                self._examples.add(candidates, bought)
                stage.advance(len(part))
            self._blend = fit_blend(self._examples)

    def _evaluate(self, cutoff: Cutoff, window: Window) -> None:
        """Evaluate with the blend as it is now: it has seen nothing of the window."""
        in_window, rows, labels = draw_labels(
            self._store, self._configuration, window, self._configuration.evaluation_customers
        )
        if len(rows) == 0:
            return
        with self._progress.stage("evaluate", len(rows)) as stage:
            lists = Ranker(cutoff, self._blend, self._configuration).rank(rows)
            stage.advance(len(rows))
        seed = self._configuration.seed
        setting = EvaluationSetting(window.first, window.stop, in_window, rows, labels, seed)
        self._evaluations.append(evaluate(setting, cutoff, lists))
        kept = lists.item_rows[:, :WIDTH]
        self._backtest = Backtest(
            self._store.ids_at("customers", rows),
            np.where(kept == NOTHING, NO_ITEM, kept).astype(np.uint32),
            labels.owners.astype(np.uint32),
            labels.item_rows.astype(np.uint32),
            labels.values,
        )

    def _write_model(self, writer: ArtifactWriter, cutoff: Cutoff, neighbors: ItemNeighbors) -> int:
        interactions = cutoff.interactions
        popularity = popularity_of(interactions)
        lists = shared_lists(self._store, self._configuration, interactions, popularity)
        vocabulary = Vocabulary(self._store.ids("items"))
        writer.write_items(ItemModel(vocabulary, popularity, neighbors.rows, neighbors.scores, neighbors.counts, lists))
        writer.write_factors(cutoff.factors.items)
        ranker = Ranker(cutoff, self._blend, self._configuration)
        with self._progress.stage("lists", self._summary.customers) as stage:
            for first in range(0, self._summary.customers, CUSTOMERS_PER_FILE):
                stop = min(first + CUSTOMERS_PER_FILE, self._summary.customers)
                rows = np.arange(first, stop, dtype=np.int64)
                writer.write_lists(ranker.table(rows, self._store.ids("customers", first, stop)))
                stage.advance(len(rows))
        return int(interactions.matrix.nnz)

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
