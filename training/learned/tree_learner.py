"""Which moments teach the trees: the windows before a cut, and those of a year ago."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from models.errors import InvalidInputError
from models.progress import Progress
from training.attributes import Attributes
from training.config import TrainingConfiguration
from training.event_store import EventStore, EventSummary
from training.features import Cutoff
from training.labels import draw_labels
from training.learned.frames import FrameSizes, features_of, frame_of
from training.learned.log import EventLog, load_log
from training.learned.moment import Moment, moment_at
from training.learned.ranker import LearnedRanker
from training.learned.trees import Examples, Trees, TreeSettings, grow
from training.memory import give_back
from training.ranking import CUSTOMERS_PER_CHUNK
from training.sources.source import NOTHING
from training.windows import Window

KEPT_NEGATIVES = 0.15
"""The part of what was not bought that trees see; their odds are set right by it."""

LEAST_TARGET_EVENTS, MOST_EVENTS = 10_000, 5_000_000
"""Events that ``auto`` wants for trees: fewer say too little, more take more time and memory than the blend does."""

_KNOWN_WINDOWS = 2
"""Windows that customers are known from before one that teaches."""

_LEAST_WINDOWS = _KNOWN_WINDOWS + 3
"""Windows that the data must span: beside those, one to learn from, one to tell what scores mean, one to judge."""

_DAYS_PER_YEAR = 365.25


class TooLittleToLearnError(InvalidInputError):
    """Says that no window that teaches holds a purchase of anything that was a candidate."""


def reason_against(
    store: EventStore, summary: EventSummary, configuration: TrainingConfiguration, span: int
) -> str | None:
    """Say why trees cannot, or with ``auto`` should not, be learned from these events; None when they can."""
    windows = (summary.last_second - summary.first_second) / span
    if windows < _LEAST_WINDOWS:
        return f"the events span {windows:.1f} label windows, fewer than {_LEAST_WINDOWS}"
    if configuration.ranker == "learned":
        return None
    code = list(configuration.event_weights()).index(configuration.target)
    targets = int(store.table("SELECT count(*) AS n FROM events WHERE type = ?", [code])["n"][0])
    if targets < LEAST_TARGET_EVENTS:
        return f"there are {targets:,} target events, fewer than {LEAST_TARGET_EVENTS:,}"
    if summary.events > MOST_EVENTS:
        return f"there are {summary.events:,} events, more than {MOST_EVENTS:,}"
    return None


class TreeLearner:
    """Grows trees, anew for each ranker, on the windows that end before its cutoff; what a window taught is kept."""

    def __init__(
        self,
        store: EventStore,
        configuration: TrainingConfiguration,
        shape: tuple[int, int],
        span: int,
        attributes: Attributes,
        progress: Progress,
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._names = features_of(configuration.learned.sources, attributes.customers.names)
        self._span = span
        self._progress = progress
        self._log: EventLog = load_log(store, configuration, shape, attributes)
        self._first = int(self._log.second.min())
        self._taught: dict[int, Examples] = {}
        self._moment: Moment | None = None
        self._importances: dict[str, float] = {}
        self._grown: tuple[int, Trees] | None = None
        self._curve: dict[str, list[float]] = {}

    def learn_from(self, cutoff: Cutoff, window: Window) -> None:
        """Describe the window's candidates while what is known before it is at hand."""
        del cutoff
        if window.first >= self._earliest():
            self._lesson_of(window.first)

    def ranker_at(self, cutoff: Cutoff) -> LearnedRanker:
        """Grow trees on the windows that end by the cut, and fit what they look at there.

        TooLittleToLearnError when there is nothing to learn from.
        """
        cut = cutoff.interactions.cut
        lessons = [self._lesson_of(first) for first in self._windows_before(cut)]
        examples = _together([lesson for lesson in lessons if lesson.labels.any()])
        if examples is None:
            raise TooLittleToLearnError("ranker", "too little was bought before the cut to learn from")
        settings = self._configuration.learned
        with self._progress.stage("trees", None):
            trees = grow(
                examples,
                self._names,
                TreeSettings(
                    settings.binary_rounds,
                    settings.pairwise_rounds,
                    settings.revenue_mix,
                    float(np.log(KEPT_NEGATIVES)),
                    self._configuration.seed,
                ),
            )
        self._importances = trees.importances()
        self._measure_curve()
        self._grown = (cut, trees)
        return LearnedRanker(self._moment_at(cut), trees, self._configuration)

    def _measure_curve(self) -> None:
        """Take the loss of the trees grown before, in a window they learned from and in the one that came after."""
        if self._grown is None:
            return
        cut, trees = self._grown
        seen, unseen = (self._taught.get(first) for first in (cut - self._span, cut))
        if seen is not None and unseen is not None and len(seen.labels) and len(unseen.labels):
            self._curve = {"learned": trees.losses(seen), "later": trees.losses(unseen)}

    def knows_before(self, window: Window) -> bool:
        """Tell whether any window before this one teaches."""
        return bool(self._windows_before(window.first))

    def describe(self) -> dict[str, Any]:
        """Give what each feature gained in the trees grown last, and what they were grown on."""
        windows = {first: len(lesson.labels) for first, lesson in sorted(self._taught.items())}
        return {
            "kind": "learned",
            "importances": self._importances,
            "losses": self._curve,
            "examples": {datetime.fromtimestamp(first, UTC).isoformat(): count for first, count in windows.items()},
        }

    def _windows_before(self, cut: int) -> list[int]:
        """Give the beginnings of the windows that teach: so many back, and around the same time of earlier years."""
        settings = self._configuration.learned
        year = round(_DAYS_PER_YEAR * 86_400 / self._span)
        around = settings.season_windows // 2
        back = [*range(1, settings.windows + 1)]
        back += [year - around + number for number in range(settings.season_windows)]
        beginnings = [cut - number * self._span for number in dict.fromkeys(back)]
        return [first for first in beginnings if first >= self._earliest()]

    def _earliest(self) -> int:
        return self._first + _KNOWN_WINDOWS * self._span

    def _lesson_of(self, first: int) -> Examples:
        if first not in self._taught:
            self._taught[first] = self._draw(self._moment_at(first))
            give_back()
        return self._taught[first]

    def _moment_at(self, cut: int) -> Moment:
        if self._moment is None or self._moment.cut != cut:
            with self._progress.stage("fit", None):
                self._moment = moment_at(self._log, cut, self._span, self._configuration)
        return self._moment

    def _draw(self, moment: Moment) -> Examples:
        """Describe the candidates of sampled customers, and tell which were bought in the window that followed."""
        configuration, settings = self._configuration, self._configuration.learned
        window = Window(moment.cut, moment.cut + self._span)
        _, rows, labels = draw_labels(self._store, configuration, window, configuration.blend_customers)
        randomness = np.random.default_rng([configuration.seed, moment.cut])
        parts: list[Examples] = []
        with self._progress.stage("examples", len(rows)) as stage:
            for start in range(0, len(rows), CUSTOMERS_PER_CHUNK):
                part = rows[start : start + CUSTOMERS_PER_CHUNK]
                frame = frame_of(moment, part, FrameSizes(settings.own, settings.found))
                found = labels.find(frame.owners + start, frame.item_rows)
                kept = (found != NOTHING) | (randomness.random(len(found)) < KEPT_NEGATIVES)
                values = np.append(labels.values, 0)[found[kept]].astype(np.float32)
                groups = np.bincount(frame.owners[kept], minlength=len(part))
                parts.append(Examples(frame.features[kept], found[kept] != NOTHING, values, groups[groups > 0]))
                stage.advance(len(part))
        return _together(parts) or Examples.none(len(self._names))


def _together(parts: Sequence[Examples]) -> Examples | None:
    if not parts:
        return None
    return Examples(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.groups for part in parts]),
    )
