"""The log becomes fresh candidates, whatever happens on the way."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from models.events import Event
from models.folding import Folder, FreshHistory
from models.profile import ProfileEvent
from models.progress import SilentProgress
from models.registry import Registry
from service.live.refresher import CHUNK, Refresher
from service.publisher import publish, roll_back
from service.store import candidate_codec, dead_letters, keys
from service.store.candidate_refresh import CandidateRefresh
from service.store.connection import SyncConnection
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore
from service.store.log_group import LogGroup
from tests.live import shop
from tests.live.conftest import TENANT
from tests.live.parts import applier, list_of, record, rows_of, work_off


def test_an_event_makes_the_customers_list_fresh(connection: SyncConnection, published: GenerationRecord) -> None:
    assert rows_of(connection, published) == [2, 3, 4, 0]
    record(connection, shop.event(1, 12))
    work_off(applier(connection))
    assert {12, 13} <= set(rows_of(connection, published))


def test_a_list_is_made_from_the_published_one_however_often(
    connection: SyncConnection, published: GenerationRecord
) -> None:
    one = applier(connection)
    record(connection, shop.event(1, 12))
    work_off(one)
    first = list_of(connection, published.generation)
    assert first is not None
    record(connection, shop.event(1, 12), Event("s", "ada", "search", shop.event(2, 1).event_time, query="milk"))
    work_off(one)
    again = list_of(connection, published.generation)
    assert again is not None
    assert again.candidates["row"].tolist() == first.candidates["row"].tolist()
    assert again.candidates["score"] == pytest.approx(first.candidates["score"], rel=1e-2)


def test_somebody_unknown_gets_a_list_that_ends_some_day(
    connection: SyncConnection, published: GenerationRecord
) -> None:
    record(connection, shop.event(1, 12, customer_id="bob"))
    work_off(applier(connection))
    assert {12, 13} <= set(rows_of(connection, published, "bob"))
    for key in keys.refresh_keys(TENANT, published.generation, "bob"):
        assert 0 < connection.client.execute_command("TTL", key) <= 180 * 86_400


def test_what_the_training_knew_is_not_folded_in_again(connection: SyncConnection, published: GenerationRecord) -> None:
    record(connection, shop.event(-5, 12))
    work_off(applier(connection))
    assert rows_of(connection, published) == [2, 3, 4, 0]


def test_a_new_generation_gets_the_events_that_it_does_not_know(
    connection: SyncConnection, published: GenerationRecord, registry: Registry
) -> None:
    one = applier(connection)
    record(connection, shop.event(1, 12), shop.event(2, 15, customer_id="bob"))
    work_off(one)
    version = shop.write_foldable(registry, later=timedelta(seconds=1))
    second = publish(registry, version, GenerationStore(connection), TENANT, SilentProgress())
    assert rows_of(connection, second) == [2, 3, 4, 0]
    work_off(one)
    assert {12, 13} <= set(rows_of(connection, second))
    assert 15 in rows_of(connection, second, "bob")


def test_a_fresh_list_keeps_what_the_training_expects_of_the_customer(
    connection: SyncConnection, registry: Registry
) -> None:
    lists = {"ada": replace(shop.ADAS, outlook=4_711)}
    generation = publish(
        registry, shop.write_foldable(registry, lists), GenerationStore(connection), TENANT, SilentProgress()
    )
    record(connection, shop.event(1, 12))
    work_off(applier(connection))
    assert 12 in rows_of(connection, generation)
    value = connection.client.execute_command("GET", keys.candidates_key(TENANT, generation.generation, "ada"))
    fresh = candidate_codec.decode(value, candidate_codec.digest_of("ada"))
    assert fresh is not None
    assert fresh.outlook == 4_711


def test_lists_of_a_generation_that_is_gone_are_not_brought_back(
    connection: SyncConnection, published: GenerationRecord, registry: Registry
) -> None:
    store = CandidateRefresh(connection, TENANT, 180)
    loaded = store.load(published)
    assert loaded is not None
    folder = Folder(loaded[1], loaded[0])
    record(connection, shop.event(1, 12))
    [customer] = store.read(published.generation, ["ada"])
    fresh = folder.fold([folder.history(customer.profile.events, shop.event(3, 1).event_time)], [customer.candidates])
    publish(
        registry,
        shop.write_foldable(registry, later=timedelta(seconds=1)),
        GenerationStore(connection),
        TENANT,
        SilentProgress(),
    )
    assert store.write(published.generation, [(customer, fresh[0])]) == [True]
    for key in keys.refresh_keys(TENANT, published.generation, "ada")[1:]:
        assert 0 < connection.client.execute_command("TTL", key) <= 86_400


def test_a_roll_back_keeps_what_was_made_fresh(
    connection: SyncConnection, published: GenerationRecord, registry: Registry
) -> None:
    one = applier(connection)
    store = GenerationStore(connection)
    publish(registry, shop.write_foldable(registry, later=timedelta(seconds=1)), store, TENANT, SilentProgress())
    record(connection, shop.event(1, 12))
    work_off(one)
    back = roll_back(None, store, TENANT, SilentProgress())
    assert back.generation == published.generation
    work_off(one)
    assert {12, 13} <= set(rows_of(connection, published))


def test_a_list_made_from_an_older_profile_is_not_written(
    connection: SyncConnection, published: GenerationRecord
) -> None:
    store = CandidateRefresh(connection, TENANT, 180)
    record(connection, shop.event(1, 12))
    [customer] = store.read(published.generation, ["ada"])
    record(connection, shop.event(2, 15))
    assert store.write(published.generation, [(customer, shop.ADAS)]) == [False]
    assert rows_of(connection, published) == [2, 3, 4, 0]


def test_without_a_model_entries_are_applied_all_the_same(connection: SyncConnection) -> None:
    record(connection, shop.event(1, 12))
    work_off(applier(connection))
    assert sum(lag.waiting + lag.pending for lag in LogGroup(connection, TENANT, "").lags()) == 0


def test_poison_is_set_aside_and_everything_else_goes_on(
    connection: SyncConnection, published: GenerationRecord
) -> None:
    connection.client.execute_command("XADD", keys.log_key(TENANT, keys.shard_of("ada")), "*", "event", "poison")
    record(connection, shop.event(1, 12))
    work_off(applier(connection))
    assert 12 in rows_of(connection, published)
    [letter] = dead_letters.dead_letters(connection, TENANT)
    assert letter.content == b"poison"


def test_a_customer_whose_list_cannot_be_made_holds_up_nobody_else(
    connection: SyncConnection, published: GenerationRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Folder.history

    def odd(self: Folder, events: Sequence[ProfileEvent], now: datetime) -> FreshHistory:
        if any(event.item_id == "item-019" for event in events):
            raise ValueError("odd")
        return original(self, events, now)

    monkeypatch.setattr(Folder, "history", odd)
    record(connection, shop.event(1, 19, customer_id="odd"), shop.event(2, 12))
    one = applier(connection)
    work_off(one)
    assert 12 in rows_of(connection, published)
    [letter] = dead_letters.dead_letters(connection, TENANT)
    assert letter.reason == "candidates cannot be made fresh (ValueError)"
    monkeypatch.undo()
    dead_letters.replay(connection, TENANT, [letter.name])
    work_off(one)
    assert rows_of(connection, published, "odd") != []


def test_what_a_dead_worker_owed_is_done_by_another(connection: SyncConnection, published: GenerationRecord) -> None:
    record(connection, shop.event(1, 12))
    LogGroup(connection, TENANT, "dead").read(10)
    work_off(applier(connection, patience=0.0))
    assert 12 in rows_of(connection, published)


def test_all_lists_are_made_fresh_a_few_at_a_time_so_that_no_event_waits_long(
    connection: SyncConnection, published: GenerationRecord
) -> None:
    known = 3 * CHUNK + 1
    record(connection, *(shop.event(number, 12, customer_id=f"c-{number}") for number in range(known)))
    refresher = Refresher(CandidateRefresh(connection, TENANT, 180), "one")
    refresher.follow()
    counts: list[int] = []
    while sum(counts) < known:
        counts.append(refresher.go_on())
    assert max(counts) <= CHUNK
