"""Lists of a generation that is held for arms of experiments are made fresh as those of the live one."""

from datetime import timedelta

from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import hold, release
from service.store.connection import SyncConnection
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore
from tests.live import shop
from tests.live.conftest import TENANT
from tests.live.parts import applier, record, rows_of, work_off

SILENT = SilentProgress()


def held_beside(connection: SyncConnection, registry: Registry) -> GenerationRecord:
    version = shop.write_foldable(registry, later=timedelta(seconds=1))
    return hold(registry, version, GenerationStore(connection), TENANT, SILENT)


def test_an_event_makes_both_lists_of_the_customer_fresh(
    connection: SyncConnection, published: GenerationRecord, registry: Registry
) -> None:
    one, held = applier(connection), held_beside(connection, registry)
    record(connection, shop.event(1, 12))
    work_off(one)
    assert {12, 13} <= set(rows_of(connection, published))
    assert {12, 13} <= set(rows_of(connection, held))


def test_a_generation_that_is_held_gets_the_events_that_it_does_not_know(
    connection: SyncConnection, published: GenerationRecord, registry: Registry
) -> None:
    one = applier(connection)
    record(connection, shop.event(1, 12))
    work_off(one)
    held = held_beside(connection, registry)
    assert rows_of(connection, held) == [2, 3, 4, 0]
    work_off(one)
    assert {12, 13} <= set(rows_of(connection, held))


def test_lists_of_a_released_generation_stay_as_they_are(
    connection: SyncConnection, published: GenerationRecord, registry: Registry
) -> None:
    one, held = applier(connection), held_beside(connection, registry)
    work_off(one)
    release(held.model_version, GenerationStore(connection), TENANT, SILENT)
    record(connection, shop.event(1, 12))
    work_off(one)
    assert 12 in rows_of(connection, published)
    assert rows_of(connection, held) == [2, 3, 4, 0]
