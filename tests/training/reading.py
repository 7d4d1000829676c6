"""Shortcuts that several tests of training share."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from models.progress import SilentProgress
from tests.shop import write_rows
from training.config import ColumnMapping, TrainingConfiguration
from training.event_store import EventStore, EventSummary
from training.files import find_files
from training.interactions import Interactions, load_interactions
from training.refusals import RefusedReport
from training.rows import RowRules

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def row(
    customer: str, item: str, days_ago: float = 0.0, event_type: str = "purchase", **more: str | float
) -> dict[str, Any]:
    """Describe one event, some days before NOON."""
    return {
        "customer_id": customer,
        "item_id": item,
        "event_type": event_type,
        "event_time": (NOON - timedelta(days=days_ago)).isoformat(),
        "quantity": 1,
        **more,
    }


@contextmanager
def read_files(
    *paths: Path,
    configuration: TrainingConfiguration | None = None,
    mapping: ColumnMapping | None = None,
    now: datetime = NOON + timedelta(days=365),
) -> Iterator[tuple[EventStore, EventSummary, RefusedReport]]:
    """Read files into a store."""
    chosen, columns = configuration or TrainingConfiguration(), mapping or ColumnMapping()
    with EventStore(chosen.resources, columns.time_zone) as store:
        files = find_files([str(path) for path in paths])
        summary, refused = store.read(files, RowRules(columns, chosen, now), SilentProgress())
        yield store, summary, refused


def interactions_of(
    folder: Path, rows: list[dict[str, Any]], configuration: TrainingConfiguration | None = None
) -> Interactions:
    """Aggregate rows up to NOON, inclusive."""
    chosen = configuration or TrainingConfiguration()
    path = write_rows(folder / "events.csv", rows)
    with read_files(path, configuration=chosen) as (store, summary, _):
        shape = (summary.customers, summary.items)
        return load_interactions(store, chosen, shape, int(NOON.timestamp()) + 1, SilentProgress())
