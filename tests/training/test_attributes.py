"""What a table of items says: which words items share, and which families they belong to."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.errors import InvalidInputError
from tests.shop import write_rows
from tests.training.reading import read_files, row
from training.attributes import NO_FAMILY, Attributes, read_attributes
from training.config import ColumnMapping, ItemTable

TABLE = """sku,category,name,price
bread,Bakery,Dark bread,2.5
butter,Dairy,Butter,3
cheese, dairy ,Blue Cheese,4
milk,,Blue milk,1
unsold,bakery,Dark roll,1
"""


def attributes_of(folder: Path, table: ItemTable | None) -> Attributes:
    bought = [row("a", item) for item in ("bread", "butter", "cheese", "milk")]
    with read_files(write_rows(folder / "events.csv", bought)) as (store, summary, _):
        return read_attributes(store, ColumnMapping(items=table), summary)


def written(folder: Path, text: str = TABLE, name: str = "items.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    attributes = attributes_of(tmp_path, None)
    assert attributes.words.shape == (4, 0)
    assert attributes.families.tolist() == [NO_FAMILY] * 4


def test_items_share_values_and_single_words_whatever_their_capitals(tmp_path: Path) -> None:
    words = attributes_of(
        tmp_path, ItemTable(path=written(tmp_path), item="sku", attributes=("category", "name"))
    ).words
    shared = (words @ words.T).toarray()
    assert shared[1, 2] == 1  # dairy
    assert shared[2, 3] == 1  # blue
    assert not shared[0, 1:].any()


def test_a_word_that_one_item_alone_has_is_left_out(tmp_path: Path) -> None:
    words = attributes_of(tmp_path, ItemTable(path=written(tmp_path), item="sku")).words
    assert (np.bincount(words.indices) > 1).all()


def test_families_are_the_values_of_the_attribute_that_divides_most_finely(tmp_path: Path) -> None:
    rows = "".join(f"{item},{half},{brand},{item}\n" for item, half, brand in [
        ("bread", "x", "one"), ("butter", "x", "one"), ("cheese", "x", "two"), ("milk", "x", "two"),
    ])  # fmt: skip
    path = written(tmp_path, "item_id,all,brand,name\n" + rows)
    assert attributes_of(tmp_path, ItemTable(path=path)).families.tolist() == [0, 0, 1, 1]


def test_attributes_that_name_single_items_tell_no_families(tmp_path: Path) -> None:
    families = attributes_of(tmp_path, ItemTable(path=written(tmp_path), item="sku", attributes=("name",))).families
    assert families.tolist() == [NO_FAMILY] * 4


def test_json_lines_are_read_as_well(tmp_path: Path) -> None:
    lines = [{"item_id": "bread", "kind": "food"}, {"item_id": "milk", "kind": "food"}, {"item_id": "butter"}]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)), "items.jsonl")
    assert attributes_of(tmp_path, ItemTable(path=path, attributes=("kind",))).families.tolist() == [0, -1, -1, 0]
    with pytest.raises(InvalidInputError, match="attributes"):
        attributes_of(tmp_path, ItemTable(path=path))


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    for table in (
        ItemTable(path=written(tmp_path)),
        ItemTable(path=written(tmp_path), item="sku", attributes=("color",)),
    ):
        with pytest.raises(InvalidInputError, match=r"items\.csv.*(item_id|color)"):
            attributes_of(tmp_path, table)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"nothing\.csv"):
        attributes_of(tmp_path, ItemTable(path=tmp_path / "nothing.csv"))
