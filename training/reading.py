"""Events of sources in a store that a run learns from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from models.progress import Progress
from training.config import ColumnMapping, TrainingConfiguration
from training.event_store import EventStore, EventSummary
from training.files import find_files
from training.people import People
from training.refusals import RefusedReport
from training.rows import RowRules


class Read(NamedTuple):
    """Is what was read: the events, what they are in all, and what was refused."""

    store: EventStore
    summary: EventSummary
    refused: RefusedReport


@contextmanager
def reading(
    sources: Sequence[str],
    mapping: ColumnMapping,
    configuration: TrainingConfiguration,
    people: People,
    progress: Progress,
) -> Iterator[Read]:
    """Read the sources into a store that goes with the context.

    InvalidInputError names the file or column that cannot be used, or says that nothing can be learned.
    """
    files = find_files(sources)
    with EventStore(configuration.resources, mapping.time_zone) as store:
        rules = RowRules(mapping, configuration, datetime.now(UTC))
        yield Read(store, *store.read(files, rules, progress, people))
