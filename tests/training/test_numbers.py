"""Rows in place of ids: dense and in the order of the ids' bytes, in however many passes they were found."""

from pathlib import Path

import pytest

from tests.shop import write_rows
from tests.training.reading import read_files, row
from training import event_store
from training.config import Resources, TrainingConfiguration

LITTLE = TrainingConfiguration(resources=Resources(memory_limit_mb=128))


def test_more_ids_than_fit_into_memory_at_once_are_numbered_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_store, "_IDS_PER_MB", 1)
    customers = [f"{number * 7919 % 1000}-ж" for number in range(1_000)]
    path = write_rows(tmp_path / "events.csv", [row(customer, "i") for customer in customers for _ in range(2)])
    with read_files(path, configuration=LITTLE) as (store, summary, _):
        assert (summary.customers, summary.items, summary.events) == (1_000, 1, 2_000)
        assert store.ids("customers") == sorted(customers)
