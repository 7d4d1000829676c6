"""Workers share the log: each entry is given to one of them, and to another one when that one is silent."""

from collections.abc import Iterator

import pytest

from models.errors import InvalidInputError, NotFoundError
from service.store import dead_letters, keys, log_group
from service.store.connection import SyncConnection, connect_blocking
from service.store.event_log import append_blocking
from service.store.log_group import LogEntry, LogGroup, numbers_of
from tests.redis_fixtures import patient
from tests.store import samples

TENANT = "local"
EVENTS = [samples.event(number, f"customer-{number}") for number in range(40)]
ADA = keys.shard_of("ada")


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def connection(request: pytest.FixtureRequest) -> Iterator[SyncConnection]:
    with connect_blocking(patient(request.getfixturevalue(request.param))) as connection:
        yield connection


@pytest.fixture
def single(redis_url: str) -> Iterator[SyncConnection]:
    with connect_blocking(patient(redis_url)) as connection:
        yield connection


def ids_of(entries: list[LogEntry]) -> list[str]:
    return sorted(entry.event.event_id for entry in entries if entry.event is not None)


ALL_IDS = sorted(event.event_id for event in EVENTS)


def add_raw(connection: SyncConnection, content: bytes) -> None:
    connection.client.execute_command("XADD", keys.log_key(TENANT, ADA), "*", "event", content)


def test_every_entry_is_given_to_one_worker(connection: SyncConnection) -> None:
    append_blocking(connection, TENANT, EVENTS)
    first, second = LogGroup(connection, TENANT, "one").read(2), LogGroup(connection, TENANT, "two").read(100)
    assert ids_of([*first, *second]) == ALL_IDS
    assert LogGroup(connection, TENANT, "one").read(100) == []


def test_entries_of_a_silent_worker_are_another_ones(connection: SyncConnection) -> None:
    append_blocking(connection, TENANT, EVENTS)
    LogGroup(connection, TENANT, "dead").read(100)
    living = LogGroup(connection, TENANT, "living")
    assert living.claim(60, 100) == []
    claimed = living.claim(0, 100)
    assert ids_of(claimed) == ALL_IDS
    living.acknowledge(claimed)
    assert living.claim(0, 100) == []


def test_an_entry_that_is_given_again_and_again_has_a_problem(single: SyncConnection) -> None:
    append_blocking(single, TENANT, [samples.event(1)])
    group = LogGroup(single, TENANT, "one")
    problems = [entry.problem for entry in group.read(1)]
    for _ in range(log_group.MAXIMAL_DELIVERIES):
        problems += [entry.problem for entry in group.claim(0, 10)]
    assert problems == [""] * log_group.MAXIMAL_DELIVERIES + ["was given to workers 6 times and never applied"]


@pytest.mark.parametrize("content", [b"", b"no json", b"{}", b'{"event_id": 1}', b"\xff"])
def test_an_entry_that_is_no_event_has_a_problem(content: bytes, single: SyncConnection) -> None:
    add_raw(single, content)
    [entry] = LogGroup(single, TENANT, "one").read(1)
    assert (entry.event, entry.problem) == (None, "is not an event as the log holds it")


def test_what_was_set_aside_is_kept_with_the_reason(connection: SyncConnection) -> None:
    add_raw(connection, b"no json")
    group = LogGroup(connection, TENANT, "one")
    [entry] = group.read(1)
    assert group.set_aside([(entry, entry.problem)]) == 1
    assert group.claim(0, 10) == []
    [letter] = dead_letters.dead_letters(connection, TENANT)
    assert (letter.content, letter.reason, letter.entry_id) == (b"no json", entry.problem, entry.entry_id)


def test_an_entry_is_set_aside_once(single: SyncConnection) -> None:
    append_blocking(single, TENANT, [samples.event(1)])
    group = LogGroup(single, TENANT, "one")
    [entry] = group.read(1)
    assert [group.set_aside([(entry, "it is odd")]) for _ in range(2)] == [1, 0]
    assert len(list(dead_letters.dead_letters(single, TENANT))) == 1


def test_what_is_replayed_is_given_again_and_says_whether_it_is_archived(connection: SyncConnection) -> None:
    append_blocking(connection, TENANT, [samples.event(1)])
    add_raw(connection, b"no json")
    group = LogGroup(connection, TENANT, "one")
    group.set_aside([(entry, "it is odd") for entry in group.read(2)])
    names = [letter.name for letter in dead_letters.dead_letters(connection, TENANT)]
    assert dead_letters.replay(connection, TENANT, names) == 2
    again = group.read(2)
    assert {(entry.event is not None, entry.is_archived) for entry in again} == {(True, True), (False, False)}
    assert list(dead_letters.dead_letters(connection, TENANT)) == []


def test_dead_letters_are_thrown_away_by_name(single: SyncConnection) -> None:
    add_raw(single, b"no json")
    group = LogGroup(single, TENANT, "one")
    group.set_aside([(entry, entry.problem) for entry in group.read(1)])
    [letter] = dead_letters.dead_letters(single, TENANT)
    assert dead_letters.remove(single, TENANT, [letter.name]) == 1
    with pytest.raises(NotFoundError, match=letter.name):
        dead_letters.replay(single, TENANT, [letter.name])


@pytest.mark.parametrize("name", ["", "0a", "zz/1-0", "10/1-0", "0a/", "0a/first"])
def test_a_name_that_names_no_dead_letter_is_refused(name: str, single: SyncConnection) -> None:
    with pytest.raises(InvalidInputError, match="name"):
        dead_letters.remove(single, TENANT, [name])


def test_the_lag_counts_what_is_to_be_done(connection: SyncConnection) -> None:
    group = LogGroup(connection, TENANT, "one")
    assert {lag.waiting for lag in group.lags()} == {0}
    append_blocking(connection, TENANT, [samples.event(number) for number in range(5)])
    group.read(2)
    lag = group.lags()[ADA]
    assert (lag.length, lag.waiting, lag.pending, lag.dead) == (5, 3, 2, 0)


def test_an_entry_is_applied_when_it_and_all_before_it_are_acknowledged(single: SyncConnection) -> None:
    append_blocking(single, TENANT, [samples.event(number) for number in range(3)])
    group = LogGroup(single, TENANT, "one")
    first, second, third = group.read(3)
    group.acknowledge([first, third])
    assert group.applied_before()[ADA] == numbers_of(second.entry_id)
    group.acknowledge([second])
    assert group.applied_before()[ADA] > numbers_of(third.entry_id)


def test_trimming_removes_what_stands_before_the_bound_and_nothing_else(connection: SyncConnection) -> None:
    append_blocking(connection, TENANT, [samples.event(number) for number in range(300)])
    group = LogGroup(connection, TENANT, "one")
    entries = group.read(300)
    group.trim([numbers_of(entries[200].entry_id) if shard == ADA else (0, 0) for shard in range(keys.SHARD_COUNT)])
    assert group.lags()[ADA].length == 100


def test_a_redis_that_was_emptied_gets_its_group_again(single: SyncConnection) -> None:
    group = LogGroup(single, TENANT, "one")
    group.read(1)
    single.client.execute_command("FLUSHALL")
    append_blocking(single, TENANT, [samples.event(1)])
    assert ids_of(group.read(1)) == ["event-1"]
    assert group.claim(0, 1) != []


def test_workers_that_owe_something_are_not_forgotten(single: SyncConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_group, "_FORGOTTEN", -1)
    append_blocking(single, TENANT, [samples.event(1)])
    LogGroup(single, TENANT, "owing").read(1)
    idle = LogGroup(single, TENANT, "idle")
    idle.read(1)
    idle.forget_the_silent()
    found = single.client.execute_command("XINFO CONSUMERS", keys.log_key(TENANT, ADA), log_group.GROUP)
    assert [consumer["name"] for consumer in found] == [b"owing"]
