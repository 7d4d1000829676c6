"""A model that is there, judged by events that came after it: the same measures as in a training run, no new fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from models.artifact import Artifact
from models.errors import InvalidInputError
from models.progress import Progress
from training.als import Factors
from training.backtests import rows_in
from training.config import ColumnMapping, TrainingConfiguration
from training.evaluation import EvaluationSetting, evaluate
from training.event_store import EventStore, EventSummary
from training.features import Cutoff, item_statistics
from training.interactions import load_interactions
from training.labels import draw_labels
from training.people import People
from training.ranking import RankedLists
from training.reading import reading
from training.stored_lists import relisted, stored_lists
from training.windows import Window


@dataclass(frozen=True, slots=True)
class LaterEvents:
    """Says where the events are, those that the model learned from among them, and how they are read."""

    sources: Sequence[str]
    mapping: ColumnMapping
    configuration: TrainingConfiguration
    first_ids: Mapping[str, str]


def judge_later(
    artifact: Artifact, events: LaterEvents, others: Mapping[str, Artifact], progress: Progress
) -> dict[str, Any]:
    """Judge the stored lists of a model, and of others by name, by what was bought after its last event.

    Gives what a manifest holds under ``metrics.evaluation``, with the others among the lists and comparisons. Events up
    to the model's last one are the customers' histories. InvalidInputError when nothing was bought later.
    """
    people = People(first_ids=events.first_ids)
    with (
        threadpool_limits(limits=1, user_api="blas"),
        reading(events.sources, events.mapping, events.configuration, people, progress) as read,
    ):
        return _judged(artifact, read.store, read.summary, events.configuration, others, progress)


def _judged(
    artifact: Artifact,
    store: EventStore,
    summary: EventSummary,
    configuration: TrainingConfiguration,
    others: Mapping[str, Artifact],
    progress: Progress,
) -> dict[str, Any]:
    window = Window(int(artifact.manifest.last_event_time.timestamp()) + 1, summary.last_second + 1)
    in_window, rows, labels = draw_labels(store, configuration, window, configuration.evaluation_customers)
    if len(rows) == 0:
        when = f"{artifact.manifest.last_event_time:%Y-%m-%d %H:%M:%S}"
        raise InvalidInputError("after", f"nobody bought anything after {when}, the last event that the model knows")
    shape = (summary.customers, summary.items)
    interactions = load_interactions(store, configuration, shape, window.first, progress)
    customer_ids, item_ids = store.ids_at("customers", rows), store.ids("items")
    places = rows_in(item_ids, list(artifact.items().vocabulary))
    factors = np.vstack([artifact.factors(), np.zeros((1, artifact.factors().shape[1]), np.float32)])[places]
    cutoff = Cutoff(interactions, item_statistics(interactions), Factors(factors[:0], factors), ())
    setting = EvaluationSetting(window.first, window.stop, in_window, rows, labels, configuration.seed)
    with progress.stage("evaluate", None):
        rivals = {name: _lists_of(other, customer_ids, item_ids).item_rows for name, other in others.items()}
        return evaluate(setting, cutoff, _lists_of(artifact, customer_ids, item_ids), rivals)


def _lists_of(artifact: Artifact, customer_ids: Sequence[str], item_ids: Sequence[str]) -> RankedLists:
    width = next(artifact.lists()).candidates.shape[1]
    lists, _ = stored_lists(artifact, customer_ids, width)
    return relisted(lists, list(artifact.items().vocabulary), item_ids)
