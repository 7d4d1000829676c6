from pathlib import Path

from models.erasures import Erasure, ErasureList, erased_id
from models.registry import Registry
from tests.shop import FIRST_DAY, customer_name, events, write_rows
from training.config import ColumnMapping, TrainingConfiguration
from training.job import train

GONE, ALIAS, FIRST = customer_name(7), customer_name(9), customer_name(8)


def test_a_model_is_learned_without_erased_customers_and_with_linked_ids_as_one(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "events.parquet", events())
    registry = Registry(tmp_path / "models")
    ErasureList(registry.root).add([Erasure("receipt", FIRST_DAY, (erased_id(GONE),))])
    result = train([str(source)], ColumnMapping(), TrainingConfiguration(), registry, first_ids={ALIAS: FIRST})
    manifest = result.manifest
    known = [name for table in registry.open(manifest.model_version).lists() for name in table.customer_ids]
    assert FIRST in known
    assert not {GONE, ALIAS} & set(known)
    assert manifest.counts["customers"] == 58
    expected = [row for row in events() if row["customer_id"] != GONE]
    assert manifest.counts["events"] == len(expected)


def test_an_erasure_is_written_down_once(tmp_path: Path) -> None:
    erasures = [Erasure(f"receipt-{number}", FIRST_DAY, (erased_id(GONE),)) for number in range(2)]
    for _ in range(2):
        ErasureList(tmp_path).add(erasures)
    assert ErasureList(tmp_path).all() == erasures
