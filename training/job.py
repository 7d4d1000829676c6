"""The training job, from sources to an artifact in the registry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.manifest import Manifest
from models.progress import Progress, SilentProgress
from models.registry import Registry
from training.attributes import Attributes, read_attributes
from training.config import ColumnMapping, TrainingConfiguration
from training.evaluation import Table
from training.event_store import EventStore, EventSummary
from training.people import people_of
from training.reading import reading
from training.refusals import RefusedReport
from training.run import Run


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
    *,
    warm: bool = False,
) -> TrainingResult:
    """Learn from the sources and write an artifact into the registry; nothing is promoted.

    ``first_ids`` says for linked ids as which one their customer is learned. Whoever the registry's list of erasures
    recognises is left out. ``warm`` lets each fit begin with the factors of the newest model of the registry that
    knows nothing after its cut.

    The artifact is the same, byte by byte, for the same events, mapping, configuration, versions of the libraries and,
    when ``warm``, models in the registry.
    InvalidInputError names the file, column or field that cannot be used.
    """
    watched = progress or SilentProgress()
    with (
        threadpool_limits(limits=1, user_api="blas"),
        reading(sources, mapping, configuration, people := people_of(registry, first_ids), watched) as read,
        registry.writer() as writer,
    ):
        attributes = read_attributes(read.store, mapping, read.summary, people)
        manifest = Run(*read, configuration, attributes, watched, registry if warm else None).write(writer)
        return TrainingResult(manifest, read.refused)


def lists_before(
    until: datetime,
    customer_ids: Sequence[str],
    sources: Sequence[str],
    mapping: ColumnMapping,
    configuration: TrainingConfiguration,
    registry: Registry,
    progress: Progress | None = None,
    first_ids: Mapping[str, str] | None = None,
) -> tuple[list[str], NDArray[np.int64]]:
    """Learn from what came before a time, and give the item ids and the lists (n, list_size) of some customers.

    The lists are those that ``train`` would have stored then; NOTHING for whoever is unknown. ``first_ids`` and the
    registry's list of erasures are heeded as ``train`` does.
    """
    watched = progress or SilentProgress()
    at_that_time = configuration.model_copy(update={"until": until, "evaluation_windows": 1})
    with (
        threadpool_limits(limits=1, user_api="blas"),
        reading(sources, mapping, at_that_time, people := people_of(registry, first_ids), watched) as read,
    ):
        attributes = read_attributes(read.store, mapping, read.summary, people)
        lists = Run(*read, at_that_time, attributes, watched).lists_of(customer_ids)
        return read.store.ids("items"), lists


def judge_windows(
    store: EventStore,
    summary: EventSummary,
    configuration: TrainingConfiguration,
    attributes: Attributes,
    progress: Progress,
) -> Iterator[Table]:
    """Learn before each label window that judges, the oldest first, and measure our lists in it; no model is made.

    Windows after which nothing was bought are left out. What is found is what ``train`` would find in these windows.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield from Run(store, summary, RefusedReport({}, ()), configuration, attributes, progress).judge()
