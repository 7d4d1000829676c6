"""What a table says of customers: what is read of it, what is refused, and what it makes of a model."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.errors import InvalidInputError
from models.registry import Registry
from tests.shop import customer_name, write_events, write_rows
from tests.training.reading import read_files, row
from training.config import ColumnMapping, CustomerTable, FactorSettings, LearnedSettings, TrainingConfiguration, parse
from training.customer_attributes import NO_GROUP, CustomerAttributes, read_customer_attributes
from training.job import train
from training.learned.groups import groups_at
from training.learned.pairs import Pairs
from training.people import People

TABLE = """customer_id,tier,age
a,Gold,41
b, gold ,25
c,silver,
never-came,silver,33
"""


def written(folder: Path, text: str = TABLE, name: str = "customers.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def attributes_of(folder: Path, table: CustomerTable | None, people: People | None = None) -> CustomerAttributes:
    """Read what is told of the customers a, b, c and d, rows 0 to 3, each of whom bought something."""
    bought = write_rows(folder / "events.csv", [row(customer, "bread") for customer in "abcd"])
    with read_files(bought) as (store, summary, _):
        mapping = ColumnMapping(customers=table)
        return read_customer_attributes(store, mapping, summary.customers, people or People())


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    told = attributes_of(tmp_path, None)
    assert told.names == ()
    assert told.values.shape == told.groups.shape == (4, 0)


def test_words_become_places_numbers_stay_and_who_is_not_told_of_is_unknown(tmp_path: Path) -> None:
    told = attributes_of(tmp_path, CustomerTable(path=written(tmp_path)))
    assert told.names == ("tier", "age")
    np.testing.assert_array_equal(told.values[:, 0], [0, 0, 1, np.nan])
    np.testing.assert_array_equal(told.values[:, 1], [41, 25, np.nan, np.nan])
    assert told.groups[:, 0].tolist() == [0, 0, 1, NO_GROUP]
    assert told.groups[0, 1] > told.groups[1, 1] > told.groups[2, 1] == NO_GROUP


def test_json_lines_are_read_by_the_names_they_are_told(tmp_path: Path) -> None:
    lines = [{"id": "a", "age": 41}, {"id": "c", "age": None}, {"id": "d"}]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)), "customers.jsonl")
    told = attributes_of(tmp_path, CustomerTable(path=path, customer="id", attributes=("age",)))
    np.testing.assert_array_equal(told.values[:, 0], [41, np.nan, np.nan, np.nan])
    with pytest.raises(InvalidInputError, match=r"customers\.attributes"):
        attributes_of(tmp_path, CustomerTable(path=path, customer="id"))


def test_linked_ids_are_one_customer_of_whom_the_first_id_tells(tmp_path: Path) -> None:
    people = People(first_ids={"phone": "d", "tablet": "d"})
    rows = "customer_id,age\nphone,30\ntablet,60\n"
    told = attributes_of(tmp_path, CustomerTable(path=written(tmp_path, rows)), people)
    np.testing.assert_array_equal(told.values[:, 0], [np.nan, np.nan, np.nan, 30])


def test_of_an_attribute_with_a_word_for_everybody_the_commonest_words_are_kept(tmp_path: Path) -> None:
    bought = write_rows(tmp_path / "events.csv", [row(f"c{number}", "bread") for number in range(80)])
    rows = "".join(f"c{number},{'shared' if number < 10 else f'name {number}'}\n" for number in range(80))
    table = CustomerTable(path=written(tmp_path, "customer_id,name\n" + rows))
    with read_files(bought) as (store, summary, _):
        groups = read_customer_attributes(store, ColumnMapping(customers=table), summary.customers).groups[:, 0]
    assert len(np.unique(groups)) == 65  # 64 of them, and NO_GROUP
    assert (groups == groups[0]).sum() == 10


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("customer_id,age\na,1\n,2\n", r"customers\.csv.*1 rows without a customer \(column 'customer_id'\)"),
        ("customer_id,age\na,1\nb,2\na,3\n", r"customers\.csv.*customer 'a' \(column 'customer_id'\) twice"),
        ("customer_id,age\na,1\nb,2,3\nc,4\n", r"customers\.csv.*at line 3"),
        ("customer_id,age\na,1\n", r"customers\.csv.*no column 'tier' \(for customers\); it has customer_id, age"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_file_and_place(text: str, problem: str, tmp_path: Path) -> None:
    wanted = ("tier",) if "tier" in problem else ()
    with pytest.raises(InvalidInputError, match=problem):
        attributes_of(tmp_path, CustomerTable(path=written(tmp_path, text), attributes=wanted))


def test_a_table_of_nothing_but_customers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no column besides"):
        attributes_of(tmp_path, CustomerTable(path=written(tmp_path, "customer_id\na\n")))


def test_a_column_of_segments_in_both_events_and_customers_is_refused() -> None:
    content = {"segments": ["tier"], "customers": {"path": "customers.csv", "segments": ["tier"]}}
    with pytest.raises(InvalidInputError, match=r"customers\.segments: 'tier'"):
        parse(ColumnMapping, content, "mapping")


def test_a_group_has_a_taste_for_what_more_of_it_bought_than_its_size_lets_expect() -> None:
    """Ten customers of two tiers: all of the first bought the first item, all of the second the second."""
    groups = np.repeat([0, 1], 5)[:, np.newaxis]
    zeros = np.zeros(10, dtype=np.float32)
    pairs = Pairs(
        np.arange(11), groups[:, 0], zeros + 1, np.zeros((10, 4), dtype=np.float32), zeros, zeros, zeros, zeros, zeros,
        zeros, zeros,
    )  # fmt: skip
    attributes = CustomerAttributes(("tier",), groups.astype(np.float32), groups)
    told = groups_at(pairs, attributes, np.array([0, 1, -1]), 2).describe(
        np.array([0, 0, 9, 9]), np.array([0, 1, 1, -1])
    )
    assert told[:, 0].tolist() == [0, 0, 1, 1]
    assert told[:, 1] == pytest.approx([np.log(10 / 7.5), np.log(5 / 7.5), np.log(10 / 7.5), 0])


def test_a_model_tells_what_attributes_were_worth_and_has_lists_for_their_segments(tmp_path: Path) -> None:
    shop = write_events(tmp_path / "events.parquet", customers=90, items=40)
    rows = "".join(f"{customer_name(number)},{number % 4},tier {number % 2}\n" for number in range(60))
    table = CustomerTable(
        path=written(tmp_path, "customer_id,size [cm],tier\n" + rows), attributes=("size [cm]",), segments=("tier",)
    )
    configuration = TrainingConfiguration(
        ranker="learned",
        factors=FactorSettings(factors=8),
        learned=LearnedSettings(binary_rounds=20, pairwise_rounds=5),
    )
    registry = Registry(tmp_path / "models")
    manifest = train([str(shop)], ColumnMapping(customers=table), configuration, registry).manifest
    importances = manifest.metrics["ranker"]["importances"]
    assert {"attribute-size [cm]", "group-size [cm]"} < set(importances)
    assert {"tier 0", "tier 1"} < set(registry.open(manifest.model_version).items().shared_lists)
    assert manifest.counts["customers"] == 90
