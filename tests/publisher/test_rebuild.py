"""Redis can be lost: everything in it comes back from files."""

from pathlib import Path

import pytest

from models.catalog import EMPTY_CATALOG, CatalogChange
from models.errors import InvalidInputError
from models.experiments import Arm, Experiment
from models.progress import SilentProgress
from models.registry import Registry
from service import publisher
from service.publisher import Rebuilt
from service.store.archive import Archive, ArchivedEvent
from service.store.catalog_store import apply_blocking
from service.store.customer_reader import CustomerRead
from service.store.event_log import append_blocking, read_log
from service.store.exports import write_catalog, write_events
from service.store.generation_store import GenerationStore
from service.store.store import Store
from tests.models.samples import CUSTOMER_IDS
from tests.redis_fixtures import patient
from tests.store import samples
from tests.store.test_catalog_store import SHOP

TENANT = "local"
EVENTS = [samples.event(number, CUSTOMER_IDS[number % 3]) for number in range(20)]


async def state_of(url: str) -> tuple[object, CustomerRead]:
    """Give everything that a server process reads: catalogue records and customers."""
    store = Store.open(patient(url))
    catalog = await store.catalog.load(TENANT)
    live = await store.models.pointer(TENANT)
    assert live is not None
    read = await store.customers.read(TENANT, live.generation, CUSTOMER_IDS, 5)
    await store.aclose()
    return catalog.as_change(), read


async def test_an_emptied_redis_is_filled_again_from_files(
    registry: Registry, versions: list[str], store: GenerationStore, redis_url: str, tmp_path: Path
) -> None:
    publisher.publish(registry, None, store, TENANT, SilentProgress())
    apply_blocking(store.connection, TENANT, SHOP)
    append_blocking(store.connection, TENANT, EVENTS)
    before_catalog, before = await state_of(redis_url)
    catalog_file, events_file = tmp_path / "catalog.jsonl", tmp_path / "events.jsonl"
    server = Store.open(patient(redis_url))
    write_catalog(catalog_file, await server.catalog.load(TENANT))
    await server.aclose()
    write_events(events_file, read_log(store.connection, TENANT))

    store.connection.client.execute_command("FLUSHALL")
    store.connection.client.execute_command("FUNCTION FLUSH")
    rebuilt = publisher.rebuild(
        registry, store, TENANT, SilentProgress(), catalog_file=catalog_file, events_file=events_file
    )

    assert rebuilt == Rebuilt(store.overview(TENANT).live, catalog_records=5, events=20)
    after_catalog, after = await state_of(redis_url)
    assert after_catalog == before_catalog
    for earlier, later in zip(before.customers, after.customers, strict=True):
        assert earlier.candidates is not None
        assert later.candidates is not None
        assert later.candidates.candidates.tobytes() == earlier.candidates.candidates.tobytes()
        assert list(later.profile.events) == list(earlier.profile.events)
    assert sorted(event.event_id for event in read_log(store.connection, TENANT)) == sorted(
        event.event_id for event in EVENTS
    )


def test_rebuilding_twice_counts_events_once(
    registry: Registry, versions: list[str], store: GenerationStore, tmp_path: Path
) -> None:
    events_file = tmp_path / "events.jsonl"
    write_events(events_file, EVENTS)
    for _ in range(2):
        publisher.rebuild(registry, store, TENANT, SilentProgress(), events_file=events_file)
    assert len(list(read_log(store.connection, TENANT))) == len(EVENTS)


def test_without_a_current_model_the_rest_is_rebuilt(
    registry: Registry, store: GenerationStore, tmp_path: Path
) -> None:
    events_file = tmp_path / "events.jsonl"
    write_events(events_file, EVENTS)
    rebuilt = publisher.rebuild(registry, store, TENANT, SilentProgress(), events_file=events_file)
    assert rebuilt == Rebuilt(None, 0, len(EVENTS))


def test_a_file_that_cannot_be_used_is_named(registry: Registry, store: GenerationStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"absent\.jsonl"):
        publisher.rebuild(registry, store, TENANT, SilentProgress(), catalog_file=tmp_path / "absent.jsonl")


def test_models_that_arms_name_are_held_again(
    registry: Registry, versions: list[str], store: GenerationStore, tmp_path: Path
) -> None:
    arms = (Arm("control"), Arm("rival", model_version=versions[1]), Arm("gone", model_version="20990101-never"))
    experiment = Experiment("models", ("home-top",), arms)
    catalog_file = tmp_path / "catalog.jsonl"
    write_catalog(catalog_file, EMPTY_CATALOG.apply(CatalogChange(experiments=(experiment,))))
    rebuilt = publisher.rebuild(registry, store, TENANT, SilentProgress(), catalog_file=catalog_file)
    assert (rebuilt.held, rebuilt.lost) == ((versions[1],), ("20990101-never",))
    assert [record.model_version for record in store.overview(TENANT).held] == [versions[1]]


async def test_events_come_back_from_the_archive_and_are_not_archived_again(
    registry: Registry, versions: list[str], store: GenerationStore, redis_url: str, tmp_path: Path
) -> None:
    publisher.publish(registry, None, store, TENANT, SilentProgress())
    append_blocking(store.connection, TENANT, EVENTS)
    _, before = await state_of(redis_url)
    archive = Archive(str(tmp_path / "archive"))
    archive.add("day=2026-03-01/events-1-x.parquet", [ArchivedEvent(0, "1-0", event) for event in EVENTS])
    store.connection.client.execute_command("FLUSHALL")
    rebuilt = publisher.rebuild(registry, store, TENANT, SilentProgress(), archive=archive)
    assert rebuilt.events == len(EVENTS)
    _, after = await state_of(redis_url)
    for earlier, later in zip(before.customers, after.customers, strict=True):
        assert list(later.profile.events) == list(earlier.profile.events)
    assert list(read_log(store.connection, TENANT)) == []
    assert append_blocking(store.connection, TENANT, EVENTS).recorded == 0
