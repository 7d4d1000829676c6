import json
import os
from pathlib import Path

import pytest

from models.errors import ArtifactError, InvalidInputError, NotFoundError, PreconditionError
from models.registry import Registry
from tests.models.samples import write_small_artifact


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def versions_of(registry: Registry, days: int) -> list[str]:
    return [write_small_artifact(registry.root, day).model_version for day in range(1, days + 1)]


def test_an_empty_registry_has_no_current_model(registry: Registry) -> None:
    assert registry.current() is None
    assert registry.manifests() == []


def test_models_are_listed_with_the_newest_data_first(registry: Registry) -> None:
    first, second = versions_of(registry, 2)
    assert [manifest.model_version for manifest in registry.manifests()] == [second, first]


def test_the_promoted_version_is_current(registry: Registry) -> None:
    first, _ = versions_of(registry, 2)
    registry.promote(first)
    assert registry.current() == first


@pytest.mark.parametrize("version", ["20170101-000000000000", "..", "", "/etc"])
def test_a_version_that_is_not_there_is_not_found(registry: Registry, version: str) -> None:
    versions_of(registry, 1)
    with pytest.raises(NotFoundError):
        registry.promote(version)
    assert registry.current() is None


def test_rolling_back_goes_one_promotion_back_each_time(registry: Registry) -> None:
    first, second, third = versions_of(registry, 3)
    for version in (first, second, third):
        registry.promote(version)
    assert [registry.roll_back(), registry.roll_back()] == [second, first]
    assert registry.current() == first


def test_rolling_back_below_the_first_promotion_is_refused(registry: Registry) -> None:
    (first,) = versions_of(registry, 1)
    registry.promote(first)
    with pytest.raises(PreconditionError):
        registry.roll_back()
    assert registry.current() == first


def test_a_model_promoted_again_after_a_roll_back_can_be_rolled_back_again(registry: Registry) -> None:
    first, second = versions_of(registry, 2)
    for version in (first, second):
        registry.promote(version)
    registry.roll_back()
    registry.promote(second)
    assert registry.roll_back() == first


def test_a_promotion_whose_process_died_before_it_was_in_force_is_passed_over(registry: Registry) -> None:
    first, second, third = versions_of(registry, 3)
    registry.promote(first)
    registry.promote(second)
    with (registry.root / "promotions.jsonl").open("a") as file:
        file.write(json.dumps({"action": "promote", "model_version": third}) + "\n")
    assert registry.roll_back() == first


def test_pruning_keeps_the_newest_the_current_and_the_way_back(registry: Registry) -> None:
    versions = versions_of(registry, 5)
    registry.promote(versions[0])
    registry.promote(versions[1])
    assert registry.prune(keep=1) == [versions[3], versions[2]]
    assert registry.versions() == [versions[4], versions[1], versions[0]]


def test_pruning_removes_only_writes_abandoned_long_ago(registry: Registry) -> None:
    versions_of(registry, 1)
    old, fresh = registry.root / ".writing-old", registry.root / ".writing-fresh"
    for path in (old, fresh):
        path.mkdir()
    os.utime(old, (0, 0))
    registry.prune(keep=1)
    assert not old.exists()
    assert fresh.exists()


def test_pruning_everything_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidInputError, match="keep"):
        registry.prune(keep=0)


def test_a_damaged_current_file_is_named(registry: Registry) -> None:
    versions_of(registry, 1)
    (registry.root / "CURRENT").write_text("../../etc\n")
    with pytest.raises(ArtifactError, match="CURRENT"):
        registry.current()


def test_a_damaged_line_of_the_promotions_is_named(registry: Registry) -> None:
    (first,) = versions_of(registry, 1)
    registry.promote(first)
    with (registry.root / "promotions.jsonl").open("a") as file:
        file.write("{\n")
    with pytest.raises(ArtifactError, match=r"promotions\.jsonl, line 2"):
        registry.roll_back()
