from collections.abc import Iterator
from pathlib import Path

import pytest

from models.registry import Registry
from service.store.connection import connect_blocking
from service.store.generation_store import GenerationStore
from tests.models.samples import write_small_artifact
from tests.redis_fixtures import patient


@pytest.fixture
def store(redis_url: str) -> Iterator[GenerationStore]:
    with connect_blocking(patient(redis_url)) as connection:
        yield GenerationStore(connection)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


@pytest.fixture
def versions(registry: Registry) -> list[str]:
    """Give the versions of three models, the first one current."""
    names = [write_small_artifact(registry.root, day).model_version for day in (1, 2, 3)]
    registry.promote(names[0])
    return names
