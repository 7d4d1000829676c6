"""The gate: the good pass, the bad do not, and what is forced is written down."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.promotion import Passage, pass_gate, refit_from
from models.artifact import FACTORS_FILE
from models.errors import ArtifactError
from models.progress import SilentProgress
from models.registry import Registry
from tests.shop import Rows, events, write_rows
from tests.training.bad_models import ARTIFACTS, DATA, RECIPES, spoiled
from training.config import ColumnMapping, FactorSettings, GateSettings, LearnedSettings, TrainingConfiguration
from training.evaluation import OURS, rows_of
from training.job import train

pytestmark = pytest.mark.xdist_group("gate")  # what they share is dear

SMALL = TrainingConfiguration(factors=FactorSettings(factors=16))
MAPPING = ColumnMapping()
SHOP = events(160, 240, visits=16, tastes=8)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Give a registry with one good model in service, which knows nothing of the last four weeks."""
    folder = tmp_path_factory.mktemp("gate")
    registry = Registry(folder / "models")
    version = learned(registry, folder, [row for row in SHOP if row["event_time"] < "2025-06-02"])
    assert pass_gate(registry, version, GateSettings(), by="test").promoted
    return registry


@pytest.fixture(scope="module")
def good(before: Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the version of a good model of the same recipe that knows all, in the same registry."""
    return learned(before, tmp_path_factory.mktemp("all"), SHOP)


def learned(registry: Registry, folder: Path, rows: Rows, configuration: TrainingConfiguration = SMALL) -> str:
    path = write_rows(folder / "events.csv", rows)
    return train([str(path)], MAPPING, configuration, registry).manifest.model_version


def asked(registry: Registry, version: str, folder: Path | None = None, *, force: bool = False) -> Passage:
    sources = [str(folder / "events.csv")] if folder else []
    refit = refit_from(registry, sources, MAPPING, SMALL, SilentProgress()) if sources else None
    return pass_gate(registry, version, GateSettings(), by="test", force=force, refit=refit)


@pytest.fixture
def registry(before: Registry, good: str, copy_of: Callable[[Registry], Registry]) -> Registry:
    return copy_of(before)


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Registry], Registry]:
    """Copy a registry by links, so that promoting in it changes no other."""

    def copied(registry: Registry) -> Registry:
        root = tmp_path / "models"
        root.mkdir()
        for version in registry.versions():
            (root / version).symlink_to(registry.root / version)
        for name in ("CURRENT", "promotions.jsonl"):
            (root / name).write_bytes((registry.root / name).read_bytes())
        return Registry(root)

    return copied


def test_the_first_model_of_all_is_promoted(before: Registry) -> None:
    assert before.current() is not None


def test_a_good_model_of_newer_days_is_promoted(registry: Registry, good: str) -> None:
    passage = asked(registry, good)
    assert [check.name for check in passage.verdict.failed] == []
    assert registry.current() == good
    kept = registry.verdict(good)
    assert kept is not None
    assert (kept["promoted"], kept["forced"], kept["against"]) == (True, False, passage.verdict.against)


def test_the_very_model_in_service_may_be_promoted_again(registry: Registry, good: str) -> None:
    asked(registry, good)
    assert asked(registry, good).promoted


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_a_model_spoiled_after_it_was_judged_is_not_promoted(registry: Registry, good: str, kind: str) -> None:
    former = registry.current()
    passage = asked(registry, spoiled(registry, registry.open(good), ARTIFACTS[kind]))
    assert not passage.promoted
    assert registry.current() == former


@pytest.mark.parametrize("kind", DATA)
def test_a_model_of_broken_data_is_not_promoted(registry: Registry, good: str, tmp_path: Path, kind: str) -> None:
    asked(registry, good)
    passage = asked(registry, learned(registry, tmp_path, DATA[kind](SHOP)), tmp_path)
    assert not passage.promoted
    assert registry.current() == good


@pytest.mark.parametrize("kind", RECIPES)
def test_a_worse_recipe_is_not_promoted(registry: Registry, good: str, tmp_path: Path, kind: str) -> None:
    former = registry.current()
    passage = asked(registry, learned(registry, tmp_path, SHOP, RECIPES[kind]), tmp_path)
    assert not passage.promoted
    assert registry.current() == former


def test_at_least_twenty_kinds_are_tried() -> None:
    assert len(ARTIFACTS) + len(DATA) + len(RECIPES) >= 20


def test_a_better_recipe_is_promoted(registry: Registry, tmp_path: Path) -> None:
    worse = RECIPES["names hardly anything"]
    assert asked(registry, learned(registry, tmp_path, SHOP, worse), tmp_path, force=True).forced
    passage = asked(registry, learned(registry, tmp_path, SHOP), tmp_path)
    assert (passage.verdict.way, passage.promoted) == ("same-window", True)


def test_the_one_in_service_is_measured_as_when_it_was_judged_itself(
    registry: Registry, good: str, tmp_path: Path
) -> None:
    former = registry.open(good).manifest.metrics["evaluation"]
    asked(registry, good)
    other = learned(registry, tmp_path, SHOP, SMALL.model_copy(update={"new_share": 0.1}))
    verdict = asked(registry, other).verdict
    assert verdict.way == "same-window"
    theirs = {row["scope"]: row["values"]["recall@50"] for row in verdict.rows}
    own = {row.scope: row.values["recall@50"] for row in rows_of(former) if row.lists == OURS}
    assert theirs == own
    assert own["new-to-customer"] > 0


def test_a_recipe_that_was_not_compared_is_not_promoted(registry: Registry, good: str, tmp_path: Path) -> None:
    other = learned(registry, tmp_path, SHOP, SMALL.model_copy(update={"new_share": 0.25, "holdout_days": 26}))
    assert asked(registry, good).promoted
    passage = asked(registry, other)
    assert "ndcg@20 against in-service" in [check.name for check in passage.verdict.failed]
    assert asked(registry, other, tmp_path).verdict.way == "refitted"


def test_a_learned_ranker_in_service_is_learned_anew_to_be_compared(registry: Registry, tmp_path: Path) -> None:
    few = LearnedSettings(binary_rounds=5, pairwise_rounds=5)
    trees = SMALL.model_copy(update={"ranker": "learned", "learned": few})
    asked(registry, learned(registry, tmp_path, SHOP, trees), force=True)
    other = learned(registry, tmp_path, SHOP, SMALL.model_copy(update={"holdout_days": 26}))
    verdict = asked(registry, other, tmp_path).verdict
    assert verdict.way == "refitted"
    assert verdict.rows


def test_what_is_forced_is_written_down(registry: Registry, good: str) -> None:
    version = spoiled(registry, registry.open(good), ARTIFACTS["noise"])
    passage = asked(registry, version, force=True)
    assert passage.forced
    assert registry.current() == version
    record = json.loads((registry.root / "promotions.jsonl").read_text().splitlines()[-1])
    assert record["note"].startswith("test --force, in spite of: ")
    kept = registry.verdict(version)
    assert kept is not None
    assert (kept["promoted"], kept["forced"]) == (True, True)


def test_a_damaged_file_cannot_even_be_forced(registry: Registry, good: str) -> None:
    version = spoiled(registry, registry.open(good), ARTIFACTS["noise"])
    factors = registry.root / version / FACTORS_FILE
    content = bytearray(factors.read_bytes())
    content[-100] ^= 1
    factors.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="sha256"):
        asked(registry, version, force=True)
    assert registry.current() != version
