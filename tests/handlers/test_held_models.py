"""A server process holds the models that arms of running experiments name, and no others."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.catalog import CatalogChange
from models.experiments import Arm, Experiment, ExperimentStatus
from models.progress import SilentProgress
from models.registry import Registry
from service import publisher
from service.composition import running
from service.handlers.snapshots import Snapshots
from service.settings import read_settings
from service.store.catalog_store import apply_blocking
from service.store.connection import SyncConnection, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore
from service.store.keys import MetaKeys
from tests.models_fixtures import candidate, candidate_list, item_model, write_artifact
from tests.redis_fixtures import patient
from tests.server_fixtures import publish_model

OWN = {"ada": candidate_list([candidate(7, 1.0)])}
SILENT = SilentProgress()


@dataclass(frozen=True)
class Shop:
    """Is a shop with a served model and a held one, which an arm names."""

    connection: SyncConnection
    registry: Registry
    held: GenerationRecord
    redis_url: str
    home: Path

    def name_it(self, status: ExperimentStatus = ExperimentStatus.RUNNING) -> None:
        arms = (Arm("control"), Arm("rival", model_version=self.held.model_version))
        experiment = Experiment("models", ("home-top",), arms, status=status)
        apply_blocking(self.connection, "local", CatalogChange(experiments=(experiment,)))

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[Snapshots]:
        settings = read_settings(home=self.home, redis_url=self.redis_url, metrics_listen="off")
        async with running(settings, self.redis_url) as server:
            for task in server.tasks:
                task.cancel()  # what follows goes step by step
            yield server.parts.snapshots


@pytest.fixture
def shop(tmp_path: Path, own_redis: EmbeddedRedis) -> Iterator[Shop]:
    publish_model(own_redis.url, tmp_path, item_model(), OWN)
    registry = Registry(tmp_path / "models")
    with connect_blocking(patient(own_redis.url)) as connection:
        version = write_artifact(registry, item_model(30), OWN).model_version
        held = publisher.hold(registry, version, GenerationStore(connection), "local", SILENT)
        yield Shop(connection, registry, held, own_redis.url, tmp_path)


async def test_a_model_is_held_in_memory_while_an_arm_of_a_running_experiment_names_it(shop: Shop) -> None:
    async with shop.served() as snapshots:
        assert snapshots.current("local").held == {}
        shop.name_it()
        await snapshots.refresh()
        (held,) = snapshots.current("local").held.values()
        assert (held.model.model_version, held.model.generation) == (shop.held.model_version, shop.held.generation)
        shop.name_it(ExperimentStatus.ENDED)
        await snapshots.refresh()
        assert snapshots.current("local").held == {}


async def test_what_is_held_is_loaded_once_and_indexed_again_only_for_news(shop: Shop) -> None:
    shop.name_it()
    async with shop.served() as snapshots:
        before = snapshots.current("local")
        await snapshots.refresh()
        assert snapshots.current("local") is before
        shop.name_it()
        await snapshots.refresh()
        after = snapshots.current("local")
        assert after is not before
        version = shop.held.model_version
        assert after.held[version].offers is before.held[version].offers


async def test_a_version_that_is_served_by_now_is_held_no_second_time(shop: Shop) -> None:
    shop.name_it()
    async with shop.served() as snapshots:
        GenerationStore(shop.connection).promote("local", shop.held.model_version, force=True)
        await snapshots.refresh()
        served = snapshots.current("local")
        assert (served.model.model_version, served.held) == (shop.held.model_version, {})
        assert served.has(shop.held.model_version)


async def test_a_held_model_that_is_damaged_leaves_the_served_one_at_work(shop: Shop) -> None:
    shop.name_it()
    shop.connection.client.execute_command("DEL", MetaKeys("local").model_part(shop.held.generation, 0))
    async with shop.served() as snapshots:
        served = snapshots.current("local")
        assert not snapshots.is_failing
        assert (served.held, served.has(shop.held.model_version)) == ({}, False)


async def test_a_released_model_is_let_go(shop: Shop) -> None:
    shop.name_it()
    async with shop.served() as snapshots:
        publisher.release(shop.held.model_version, GenerationStore(shop.connection), "local", SILENT)
        await snapshots.refresh()
        assert snapshots.current("local").held == {}
