import os
import signal
from collections.abc import AsyncIterator

import pytest

from models.errors import UnavailableError
from models.events import Event
from models.profile import MAXIMAL_PROFILE_EVENTS
from service.store import event_log, keys
from service.store.connection import AsyncConnection, connect, connect_blocking
from service.store.customer_reader import CustomerReader
from service.store.embedded import EmbeddedRedis
from service.store.event_log import AppendResult, EventLog, EventLogSettings, append_blocking, read_log
from tests.redis_fixtures import patient
from tests.store import samples

TENANT = "local"


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[AsyncConnection]:
    connection = connect(patient(request.getfixturevalue(request.param)))
    yield connection
    await connection.aclose()


@pytest.fixture
async def single(redis_url: str) -> AsyncIterator[AsyncConnection]:
    connection = connect(patient(redis_url))
    yield connection
    await connection.aclose()


async def item_ids_of(connection: AsyncConnection, customer_id: str) -> list[str]:
    answer = await CustomerReader(connection).read(TENANT, 1, [customer_id], 5)
    return [event.item_id for event in answer.customers[0].profile.events]


def log_of(url: str) -> list[Event]:
    with connect_blocking(patient(url)) as blocking:
        return list(read_log(blocking, TENANT))


async def test_events_of_many_customers_are_recorded_together(connection: AsyncConnection) -> None:
    events = [samples.event(number, f"customer-{number % 40}") for number in range(100)]
    assert await EventLog(connection).append(TENANT, events, 5) == AppendResult(100, 0)
    assert await item_ids_of(connection, "customer-7") == ["item-87", "item-47", "item-7"]


async def test_an_event_counts_once_per_event_id(connection: AsyncConnection) -> None:
    log = EventLog(connection)
    await log.append(TENANT, [samples.event(1), samples.event(2)], 5)
    assert await log.append(TENANT, [samples.event(2), samples.event(3)], 5) == AppendResult(1, 1)
    assert await item_ids_of(connection, "ada") == ["item-3", "item-2", "item-1"]


async def test_the_log_holds_what_was_recorded(single: AsyncConnection, redis_url: str) -> None:
    events = [samples.event(number) for number in range(5)]
    await EventLog(single).append(TENANT, events, 5)
    assert log_of(redis_url) == events


async def test_the_log_is_read_page_by_page(
    single: AsyncConnection, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "EXPORT_PAGE", 2)
    events = [samples.event(number) for number in range(5)]
    await EventLog(single).append(TENANT, events, 5)
    assert log_of(redis_url) == events


async def test_a_profile_never_grows_beyond_its_bound_and_keeps_the_newest(single: AsyncConnection) -> None:
    log = EventLog(single)
    total = 3 * MAXIMAL_PROFILE_EVENTS
    for start in range(0, total, 50):
        await log.append(TENANT, [samples.event(number) for number in range(start, min(start + 50, total))], 5)
    expected = [f"item-{number}" for number in range(total - 1, total - 1 - MAXIMAL_PROFILE_EVENTS, -1)]
    assert await item_ids_of(single, "ada") == expected
    size = await single.client.execute_command("STRLEN", keys.profile_key(TENANT, "ada"))
    assert size <= 16 + (MAXIMAL_PROFILE_EVENTS + event_log.PROFILE_SLACK) * (13 + len("purchaseitem-999"))


async def test_a_profile_of_somebody_else_is_begun_anew(single: AsyncConnection) -> None:
    await single.client.execute_command("SET", keys.profile_key(TENANT, "ada"), b"\x01" + b"x" * 40)
    await EventLog(single).append(TENANT, [samples.event(1)], 5)
    assert await item_ids_of(single, "ada") == ["item-1"]


async def test_event_ids_and_profiles_are_remembered_as_long_as_the_settings_say(single: AsyncConnection) -> None:
    log = EventLog(single, EventLogSettings(remembered_days=1, profile_days=2))
    await log.append(TENANT, [samples.event(1)], 5)
    seen = keys.seen_key(TENANT, keys.shard_of("ada"), "event-1")
    assert 86_000 < await single.client.execute_command("TTL", seen) <= 86_400
    assert 172_000 < await single.client.execute_command("TTL", keys.profile_key(TENANT, "ada")) <= 172_800


async def test_events_of_tenants_are_apart(single: AsyncConnection) -> None:
    log = EventLog(single)
    await log.append(TENANT, [samples.event(1)], 5)
    assert await log.append("other", [samples.event(1)], 5) == AppendResult(1, 0)


async def test_the_functions_come_back_after_redis_forgot_them(single: AsyncConnection) -> None:
    log = EventLog(single)
    await log.append(TENANT, [samples.event(1)], 5)
    await single.client.execute_command("FUNCTION FLUSH")
    assert await log.append(TENANT, [samples.event(1), samples.event(2)], 5) == AppendResult(1, 1)


def test_appending_works_without_an_event_loop_too(redis_url: str) -> None:
    with connect_blocking(patient(redis_url)) as blocking:
        assert append_blocking(blocking, TENANT, [samples.event(1), samples.event(1)]) == AppendResult(1, 1)


async def test_what_a_frozen_redis_did_not_confirm_is_not_acknowledged(own_redis: EmbeddedRedis) -> None:
    connection = connect(patient(own_redis.url))
    log = EventLog(connection)
    await log.append(TENANT, [samples.event(1)], 5)
    process_id = own_redis.process_id
    os.kill(process_id, signal.SIGSTOP)
    try:
        with pytest.raises(UnavailableError):
            await log.append(TENANT, [samples.event(2)], 0.05)
    finally:
        os.kill(process_id, signal.SIGCONT)
    await log.append(TENANT, [samples.event(2)], 5)
    assert await item_ids_of(connection, "ada") == ["item-2", "item-1"]
    await connection.aclose()


async def test_a_redis_that_may_not_write_is_said_to_be_unavailable(own_redis: EmbeddedRedis) -> None:
    connection = connect(patient(own_redis.url))
    await connection.client.execute_command("CONFIG SET", "maxmemory", "1")
    with pytest.raises(UnavailableError):
        await EventLog(connection).append(TENANT, [samples.event(1)], 5)
    await connection.aclose()
