"""A shop whose lists can be made fresh: a model with factors, neighbours and what a training notes of itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import publish
from service.store.connection import SyncConnection, connect_blocking
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore
from tests.live.shop import write_foldable
from tests.redis_fixtures import patient

TENANT = "local"


@pytest.fixture
def connection(redis_url: str) -> Iterator[SyncConnection]:
    with connect_blocking(patient(redis_url)) as connection:
        yield connection


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def published(connection: SyncConnection, registry: Registry) -> GenerationRecord:
    """Publish the shop's model."""
    version = write_foldable(registry)
    return publish(registry, version, GenerationStore(connection), TENANT, SilentProgress())
