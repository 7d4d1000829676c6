import csv
import json
from pathlib import Path

import pytest

from models.errors import InvalidInputError
from tests.shop import events, write_events, write_rows
from tests.training.reading import read_files, row
from training.config import ColumnMapping
from training.files import find_files


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz"])
def test_every_kind_of_file_gives_the_same_events(tmp_path: Path, name: str) -> None:
    path = write_events(tmp_path / name, customers=8, items=8)
    with read_files(path) as (store, summary, refused):
        assert (summary.events, summary.customers, summary.items) == (8 * 36, 8, 8)
        assert refused.total == 0
        total = store.table("SELECT sum(CAST(round(value * 100) AS BIGINT))::BIGINT AS cents FROM events")["cents"][0]
    assert total == sum(round(event["value"] * 100) for event in events(8, 8))


def test_rows_are_numbered_in_the_order_of_ids(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", [row("b", "y"), row("a", "z"), row("B", "é")])
    with read_files(path) as (store, _, _):
        assert store.ids("customers") == ["B", "a", "b"]
        assert store.ids("items") == ["y", "z", "é"]


def test_an_event_counts_once_per_event_id(tmp_path: Path) -> None:
    again = [row("a", "x", event_id="1"), row("a", "x", event_id="1"), row("a", "x", event_id="2")]
    first, second = write_rows(tmp_path / "a.csv", again), write_rows(tmp_path / "b.csv", again[:1])
    with read_files(first, second) as (_, summary, _):
        assert (summary.events, summary.duplicates) == (2, 2)


def test_events_without_an_event_id_all_count(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", [row("a", "x", event_id=""), row("a", "x", event_id="")])
    with read_files(path) as (_, summary, _):
        assert (summary.events, summary.duplicates) == (2, 0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"customer_id": ""}, "no-customer"),
        ({"customer_id": "c" * 129}, "customer-too-long"),
        ({"customer_id": "a\tb"}, "customer-with-control-characters"),
        ({"item_id": ""}, "no-item"),
        ({"item_id": "é" * 65}, "item-too-long"),
        ({"item_id": "a\x7fb"}, "item-with-control-characters"),
        ({"event_time": ""}, "no-time"),
        ({"event_time": "last Tuesday"}, "unreadable-time"),
        ({"event_time": "2031-01-01T00:00:00Z"}, "time-in-the-future"),
        ({"event_time": "1889-01-01"}, "time-before-1990"),
        ({"event_type": "daydream"}, "unknown-event-type"),
        ({"quantity": "nan"}, "quantity-not-a-number"),
        ({"quantity": "many"}, "quantity-not-a-number"),
        ({"value": "inf"}, "value-not-a-number"),
        ({"event_type": "rating", "rating": "superb"}, "rating-not-a-number"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_row_that_cannot_be_used_is_counted_and_kept_with_its_reason(
    tmp_path: Path, name: str, fault: dict[str, str], reason: str
) -> None:
    good = row("a", "x", value="1", rating="")
    path = write_rows(tmp_path / name, [good, {**good, **fault}])
    with read_files(path) as (_, summary, refused):
        assert summary.events == 1
    assert refused.counts == {reason: 1}
    assert refused.sample[0]["reason"] == reason
    refused.write(tmp_path / "out" / "refused.jsonl")
    assert json.loads((tmp_path / "out" / "refused.jsonl").read_text())["file"] == str(path)


@pytest.mark.parametrize(("name", "line"), [("a.csv", "only,three,columns\n"), ("a.jsonl", '{"customer_id": "a", \n')])
def test_a_line_that_is_torn_is_refused_and_the_rest_is_read(tmp_path: Path, name: str, line: str) -> None:
    path = write_rows(tmp_path / name, [row("a", "x") for _ in range(50)])
    path.write_text(path.read_text() + line)
    with read_files(path) as (_, summary, refused):
        assert summary.events == 50
        assert refused.counts == {"malformed-line": 1}


def test_only_a_sample_of_what_is_refused_is_kept(tmp_path: Path) -> None:
    rows = [row("a", "x")] + [row("", f"{number}") for number in range(100)]
    with read_files(write_rows(tmp_path / "a.csv", rows)) as (_, _, refused):
        assert refused.counts == {"no-customer": 100}
        assert len(refused.sample) == 20


def test_event_types_without_weight_are_left_out_but_not_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", [row("a", "x"), row("b", "y", event_type="impression")])
    with read_files(path) as (_, summary, refused):
        assert (summary.events, summary.unused, summary.customers, refused.total) == (1, 1, 1, 0)


def test_exposures_to_experiments_are_passed_over(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "events.jsonl", [row("a", "bread"), row("a", "", event_type="exposure")])
    with read_files(path) as (_, summary, refused):
        assert (summary.events, refused.total) == (1, 0)


def test_a_mapping_reads_a_shop_s_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["who", "what", "did", "ms", "qty", "each"])
        writer.writerow(["7", "9", "buy", "1735689600000", "2", "1.50"])
    mapping = ColumnMapping(
        customer="who", item="what", event_type="did", event_types={"buy": "purchase"}, time="ms",
        time_unit="milliseconds", quantity="qty", price="each",
    )  # fmt: skip
    with read_files(path, mapping=mapping) as (store, summary, _):
        assert summary.first_time.isoformat() == "2025-01-01T00:00:00+00:00"
        assert store.table("SELECT value FROM events")["value"].tolist() == [3.0]


def test_times_without_an_offset_are_of_the_mapping_s_time_zone(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", [{**row("a", "x"), "event_time": "2025-01-01 01:00:00"}])
    with read_files(path, mapping=ColumnMapping(time_zone="Europe/Berlin")) as (_, summary, _):
        assert summary.first_time.isoformat() == "2025-01-01T00:00:00+00:00"


def test_folders_and_globs_are_searched_and_no_file_is_read_twice(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.csv", "deep/b.parquet", "deep/c.jsonl.gz", "notes.txt"):
        (tmp_path / name).touch()
    found = find_files([str(tmp_path), str(tmp_path / "*.csv"), str(tmp_path / "deep" / "b.parquet")])
    assert [file.path.name for file in found] == ["a.csv", "b.parquet", "c.jsonl.gz"]


def test_a_source_that_leads_nowhere_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"nowhere/\*\.csv: leads to no file"):
        find_files(["nowhere/*.csv"])


def test_a_missing_column_is_named_with_its_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", [row("a", "x")])
    with (
        pytest.raises(
            InvalidInputError, match=r"a\.csv: has no column 'household' \(for customer\); it has customer_id"
        ),
        read_files(path, mapping=ColumnMapping(customer="household")),
    ):
        pass


def test_a_missing_event_type_says_what_to_do(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", [{"customer_id": "a", "item_id": "x", "event_time": "2025-01-01"}])
    with pytest.raises(InvalidInputError, match="constant_event_type"), read_files(path):
        pass
    with read_files(path, mapping=ColumnMapping(constant_event_type="purchase")) as (_, summary, _):
        assert summary.events == 1


@pytest.mark.parametrize("length", [3, 200, -10])
def test_a_truncated_parquet_file_is_named(tmp_path: Path, length: int) -> None:
    path = write_events(tmp_path / "a.parquet", customers=4, items=4)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InvalidInputError, match=r"a\.parquet: cannot be read as parquet"), read_files(path):
        pass


def test_nothing_usable_says_what_was_refused(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"wrong": 1}, {"wrong": 2}])
    with pytest.raises(InvalidInputError, match="none of 2 rows can be learned from.*2 no-customer"), read_files(path):
        pass
