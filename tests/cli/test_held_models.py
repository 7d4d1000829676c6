"""A model is held beside the served one, shown and released on the command line."""

import json
from pathlib import Path

import pytest

from models.registry import Registry
from service.store.embedded import EmbeddedRedis
from tests.cli.conftest import Command
from tests.models.samples import write_small_artifact


@pytest.fixture
def versions() -> list[str]:
    """Give two models in the registry of the home, the first one current."""
    registry = Registry(Path(".dangol") / "models")
    names = [write_small_artifact(registry.root, day).model_version for day in (1, 2)]
    registry.promote(names[0])
    return names


def test_a_model_is_held_shown_and_released(
    dangol: Command, capsys: pytest.CaptureFixture[str], versions: list[str], own_redis: EmbeddedRedis
) -> None:
    redis = ("--redis-url", own_redis.url)
    assert dangol("publish", *redis) == 0
    assert dangol("publish", versions[1], "--hold", *redis) == 0
    assert "is held until it is released: 3 customers have a list" in capsys.readouterr().out
    assert dangol("models", "generations", "--json", *redis) == 0
    held, live = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (held["model_version"], held["hold_time"] is None) == (versions[1], False)
    assert (live["model_version"], live["state"], live["hold_time"]) == (versions[0], "live", None)
    assert dangol("models", "release", versions[1], *redis) == 0
    assert dangol("models", "generations", *redis) == 0
    shown = capsys.readouterr().out
    assert f"model {versions[1]} is held no longer" in shown
    assert "retired" in shown
    assert dangol("models", "release", versions[1], *redis) == 4


def test_an_empty_redis_is_said_to_hold_no_model(
    dangol: Command, capsys: pytest.CaptureFixture[str], own_redis: EmbeddedRedis
) -> None:
    assert dangol("models", "generations", "--redis-url", own_redis.url) == 0
    assert "Redis holds no model" in capsys.readouterr().out
