"""How a run learns to rank: what every way of it promises, and the plain one, the blend."""

from typing import Any, Protocol

from models.progress import Progress
from training.blend import Examples, fit_blend, sensible_blend
from training.chunk import chunk_of
from training.config import TrainingConfiguration
from training.event_store import EventStore
from training.features import Cutoff
from training.labels import draw_labels
from training.ranking import CUSTOMERS_PER_CHUNK, BlendRanker, Ranker
from training.sources.source import NOTHING
from training.windows import Window


class Learner(Protocol):
    """Learns from one window after the other, in the order of time. Deterministic for a seed."""

    def learn_from(self, cutoff: Cutoff, window: Window) -> None:
        """Learn from what was bought in a window; the cutoff knows nothing of it."""

    def ranker_at(self, cutoff: Cutoff) -> Ranker:
        """Give a ranker for lists at a cutoff that has learned from no event after it."""

    def knows_before(self, window: Window) -> bool:
        """Tell whether there was anything to learn from before a window."""

    def describe(self) -> dict[str, Any]:
        """Tell what was learned last, as JSON for the manifest."""


class BlendLearner:
    """Fits the blend, anew after each window, to what sampled customers were proposed and whether they bought it."""

    def __init__(self, store: EventStore, configuration: TrainingConfiguration, progress: Progress) -> None:
        self._store = store
        self._configuration = configuration
        self._progress = progress
        self._examples = Examples()
        self._blend = sensible_blend()
        self._has_learned = False

    def learn_from(self, cutoff: Cutoff, window: Window) -> None:
        """Add the window's examples to the earlier ones and fit."""
        _, rows, labels = draw_labels(self._store, self._configuration, window, self._configuration.blend_customers)
        with self._progress.stage("blend", len(rows)) as stage:
            for start in range(0, len(rows), CUSTOMERS_PER_CHUNK):
                part = rows[start : start + CUSTOMERS_PER_CHUNK]
                candidates, _ = cutoff.unite(chunk_of(cutoff.interactions, part))
                bought = labels.find(candidates.owners + start, candidates.item_rows) != NOTHING
                self._examples.add(candidates, bought)
                stage.advance(len(part))
            self._blend = fit_blend(self._examples)
        self._has_learned = True

    def ranker_at(self, cutoff: Cutoff) -> Ranker:
        """Rank with the blend as it is now."""
        return BlendRanker(cutoff, self._blend, self._configuration)

    def knows_before(self, window: Window) -> bool:
        """Tell whether a window was learned from yet."""
        del window
        return self._has_learned

    def describe(self) -> dict[str, Any]:
        """Give the weights of the blend."""
        return {"kind": "blend", "weights": self._blend.describe()}
