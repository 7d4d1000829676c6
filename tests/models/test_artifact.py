import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.artifact import open_artifact
from models.errors import ArtifactError, InvalidInputError, NotFoundError
from models.manifest import read_manifest
from models.registry import Registry
from tests.models.samples import CUSTOMER_IDS, ITEM_IDS, small_item_model, small_table, write_small_artifact

FILES = ("factors.npz", "items.npz", "lists-00000.npz")
GOLDEN = Path(__file__).parent.parent / "golden" / "artifact-format-1" / "20171201-7a422255025e"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    manifest = write_small_artifact(tmp_path)
    artifact = Registry(tmp_path).open(manifest.model_version)
    (table,) = artifact.lists()
    assert table.customer_ids == CUSTOMER_IDS
    assert table.candidates.tobytes() == small_table().candidates.tobytes()
    assert table.list_at(1).evidence_rows.tolist() == small_table().evidence_rows[1].tolist()
    assert tuple(artifact.items().vocabulary) == ITEM_IDS
    assert artifact.items().shared_lists["north"]["row"].tolist() == [3]
    assert artifact.factors().shape == (4, 2)
    assert artifact.manifest == manifest


def test_the_golden_artifact_loads_for_ever() -> None:
    artifact = open_artifact(GOLDEN)
    (table,) = artifact.lists()
    assert table.customer_ids == CUSTOMER_IDS
    assert table.list_at(0).candidates["row"].tolist() == [0, 2, 3]
    assert artifact.items().neighbors_of(0)[0].tolist() == [1, 2]
    assert artifact.factors().tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert artifact.manifest.first_event_time == datetime(2017, 1, 1, tzinfo=UTC)
    assert artifact.manifest.metrics == {"all": {"recall@20": 0.5}}


def test_equal_content_has_equal_bytes_and_an_equal_version(tmp_path: Path) -> None:
    first, second = write_small_artifact(tmp_path / "a"), write_small_artifact(tmp_path / "b")
    assert first == second
    for name in (*FILES, "manifest.json"):
        one, other = (tmp_path / root / first.model_version / name for root in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()


def test_writing_an_equal_artifact_again_leaves_one(tmp_path: Path) -> None:
    write_small_artifact(tmp_path)
    manifest = write_small_artifact(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [manifest.model_version]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Registry(tmp_path).writer() as writer:
        writer.write_items(small_item_model())
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="lists-00000.npz"), Registry(tmp_path).writer() as writer:
        writer.write_items(small_item_model())
        writer.write_factors(np.zeros((4, 2), dtype=np.float32))
        now = datetime.now(UTC)
        writer.finish(first_event_time=now, last_event_time=now, counts={}, configuration={}, metrics={})


def test_factors_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="finite"), Registry(tmp_path).writer() as writer:
        writer.write_factors(np.array([[np.nan]], dtype=np.float32))


@pytest.mark.parametrize("ids", [["bob", "ada"], ["ada", "ada"]])
def test_customers_that_do_not_ascend_are_refused(tmp_path: Path, ids: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="ascend"), Registry(tmp_path).writer() as writer:
        writer.write_lists(small_table(ids))


def test_customers_ascend_over_chunks_too(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="ascend"), Registry(tmp_path).writer() as writer:
        writer.write_lists(small_table(["bob"]))
        writer.write_lists(small_table(["ada"]))


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_names_its_file(tmp_path: Path, name: str) -> None:
    directory = tmp_path / write_small_artifact(tmp_path).model_version
    content = bytearray((directory / name).read_bytes())
    content[len(content) // 2] ^= 1
    (directory / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name}.*sha256"):
        open_artifact(directory)


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    directory = tmp_path / write_small_artifact(tmp_path).model_version
    (directory / name).write_bytes((directory / name).read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=f"{name}.*bytes instead of"):
        open_artifact(directory)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    directory = tmp_path / write_small_artifact(tmp_path).model_version
    (directory / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}.*missing"):
        open_artifact(directory)


@given(data=st.data())
def test_a_flipped_bit_of_the_manifest_never_changes_what_it_says(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("golden")
    directory = Path(shutil.copytree(GOLDEN, root / GOLDEN.name))
    content = bytearray((directory / "manifest.json").read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= 1 << data.draw(st.integers(0, 7))
    (directory / "manifest.json").write_bytes(content)
    try:
        manifest = read_manifest(directory)
    except ArtifactError as error:
        assert "manifest.json" in error.field
    else:
        assert manifest == read_manifest(GOLDEN)


def test_a_manifest_of_a_later_format_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / write_small_artifact(tmp_path).model_version
    content = json.loads((directory / "manifest.json").read_text())
    (directory / "manifest.json").write_text(json.dumps(content | {"format_version": 2}))
    with pytest.raises(ArtifactError, match="format version 2, this program reads 1"):
        open_artifact(directory)


def test_a_directory_without_a_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        open_artifact(tmp_path)


def test_rows_beyond_the_items_are_refused(tmp_path: Path) -> None:
    table = small_table()
    table.candidates["row"][0, 0] = 4
    with Registry(tmp_path).writer() as writer:
        writer.write_items(small_item_model())
        writer.write_factors(np.zeros((4, 2), dtype=np.float32))
        writer.write_lists(table)
        now = datetime.now(UTC)
        counts = {"customers": 3, "items": 4}
        manifest = writer.finish(first_event_time=now, last_event_time=now, counts=counts, configuration={}, metrics={})
    with pytest.raises(ArtifactError, match="items that do not exist"):
        list(Registry(tmp_path).open(manifest.model_version).lists())
