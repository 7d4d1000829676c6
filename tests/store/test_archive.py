"""The archive gives back what was written, on a disk and in an object store alike."""

from dataclasses import fields
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from models.errors import InvalidInputError, UnavailableError
from models.events import Event
from models.offers import Money
from models.progress import SilentProgress
from models.registry import Registry
from service.store.archive import Archive, ArchivedEvent, read_file
from tests.store import samples
from training.config import ColumnMapping, TrainingConfiguration
from training.job import train

PATH = "day=2026-03-01/events-0000000001-abc.parquet"


@pytest.fixture(params=["disk", "object store"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive") if request.param == "disk" else "memory:///")


def archived(events: list[Event]) -> list[ArchivedEvent]:
    return [ArchivedEvent(number % 16, f"{number}-0", event) for number, event in enumerate(events)]


def content_of(archive: Archive) -> list[ArchivedEvent]:
    return [event for page in archive.events() for event in page]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=strategies.lists(samples.events, min_size=1, max_size=5))
def test_what_is_archived_comes_back_as_it_was(events: list[Event], tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    archive.replace(PATH, archived(events))
    assert list(read_file(tmp_path / PATH)) == [archived(events)]


def test_the_same_events_give_the_same_bytes(tmp_path: Path) -> None:
    events = archived([samples.event(number) for number in range(3_000)])
    contents = set()
    for name in ("one", "two"):
        Archive(str(tmp_path / name)).add(PATH, events)
        contents.add((tmp_path / name / PATH).read_bytes())
    assert len(contents) == 1


def test_files_are_read_in_the_order_of_their_names(archive: Archive) -> None:
    for day in (2, 1):
        archive.add(f"day=2026-03-0{day}/events-000000000{day}-x.parquet", archived([samples.event(day)]))
    assert [event.event.event_id for event in content_of(archive)] == ["event-1", "event-2"]
    assert archive.paths() == [f"day=2026-03-0{day}/events-000000000{day}-x.parquet" for day in (1, 2)]


def test_a_file_that_is_there_is_not_written_over(archive: Archive) -> None:
    first = archived([samples.event(1), samples.event(2)])
    archive.add(PATH, first)
    archive.add(PATH, first[:1])
    assert content_of(archive) == first


def test_a_file_is_replaced_when_that_is_meant(archive: Archive) -> None:
    first = archived([samples.event(1), samples.event(2)])
    archive.add(PATH, first)
    archive.replace(PATH, first[:1])
    assert content_of(archive) == first[:1]


def test_an_archive_of_which_nothing_was_written_is_empty(archive: Archive) -> None:
    assert content_of(archive) == []


def test_every_field_of_an_event_has_a_column(tmp_path: Path) -> None:
    Archive(str(tmp_path)).add(PATH, archived([samples.event(1)]))
    with duckdb.connect() as connection:
        columns = [row[0] for row in connection.execute(f"DESCRIBE FROM read_parquet('{tmp_path / PATH}')").fetchall()]
    assert {field.name for field in fields(Event)} <= set(columns)


@pytest.mark.parametrize(("currency_code", "expected"), [("EUR", 3.49), ("JPY", 349.0)])
def test_values_are_in_major_units_as_sources_have_them(currency_code: str, expected: float, tmp_path: Path) -> None:
    event = Event("e", "ada", "purchase", samples.NOON, item_id="i", value=Money(349, currency_code))
    Archive(str(tmp_path)).add(PATH, archived([event]))
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT value FROM read_parquet('{tmp_path / PATH}')").fetchall()
    assert found == [(expected,)]


def test_a_training_reads_the_archive(tmp_path: Path) -> None:
    events = [samples.event(number, f"customer-{number % 7}") for number in range(200)]
    searches = [Event(f"s-{number}", "ada", "search", samples.NOON, query="milk") for number in range(3)]
    Archive(str(tmp_path / "archive")).add(PATH, archived(events + searches))
    result = train(
        [str(tmp_path / "archive")],
        ColumnMapping(),
        TrainingConfiguration(),
        Registry(tmp_path / "registry"),
        SilentProgress(),
    )
    assert result.manifest.counts["events"] == 200
    assert result.manifest.counts["unused"] == 3
    assert result.refused.total == 0


def test_a_place_that_cannot_be_written_to_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UnavailableError, match="archive at"):
        Archive(str(tmp_path / "file")).add(PATH, archived([samples.event(1)]))


def test_a_place_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="archive"):
        Archive("carrier-pigeon://roof")
