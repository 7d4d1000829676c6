"""Caps: what is counted in Redis, once for each event and for whom."""

import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import redis

from models.counters import bucket_of, counter_name, decision_moves, moves_of
from models.events import Event
from models.profile import EMPTY_PROFILE
from models.terms import Cap, CapEvent, CapPeriod, CapScope
from service.store import counter_codec, keys
from service.store.candidate_codec import digest_of
from service.store.cap_store import CapStore
from service.store.connection import AsyncConnection, connect
from service.store.customer_reader import CustomerReader
from service.store.customer_state import CustomerState, join_states
from service.store.event_log import EventLog
from service.store.profile_codec import encode_header
from service.store.record_reader import RecordReader
from tests.redis_fixtures import patient

TENANT = "local"
NOW = datetime.now(UTC)
BUCKETS = {period: bucket_of(period, NOW.timestamp()).name for period in CapPeriod}
DAILY = Cap(3, period=CapPeriod.DAY)
CAPS = {
    "o": (DAILY, Cap(9, CapScope.TOTAL), Cap(1, CapScope.TOTAL, CapEvent.CLICK, CapPeriod.WEEK)),
    "p": (Cap(1, event=CapEvent.REDEMPTION),),
}


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


def seen(number: int, customer_id: str = "ada", event_type: str = "impression", offer_id: str = "o") -> Event:
    return Event(f"event-{number}", customer_id, event_type, NOW, offer_id=offer_id)


async def counters_of(connection: AsyncConnection, customer_id: str = "ada") -> Mapping[str, int]:
    answer = await RecordReader(CustomerReader(connection)).read(TENANT, 1, [customer_id], 5, with_counters=True)
    return answer.customers[0].counters


async def totals_of(connection: AsyncConnection) -> Mapping[str, int]:
    return await CapStore(connection).totals(TENANT, BUCKETS.values(), 5)


async def test_an_event_counts_once_for_its_customer_and_for_everybody(connection: AsyncConnection) -> None:
    log = EventLog(connection)
    events = [seen(number, f"customer-{number % 20}") for number in range(100)]
    for batch in (events[:60], events[40:], [seen(200, "customer-7", "click")]):
        await log.append(TENANT, batch, 5, CAPS)
    daily = counter_name(BUCKETS[CapPeriod.DAY], DAILY.counter("o"))
    assert await counters_of(connection, "customer-7") == {daily: 5}
    weekly_clicks = counter_name(BUCKETS[CapPeriod.WEEK], "click:::o")
    assert await totals_of(connection) == {counter_name("ever", DAILY.counter("o")): 100, weekly_clicks: 1}


async def test_what_no_cap_asks_for_is_not_counted(single: AsyncConnection, redis_url: str) -> None:
    await EventLog(single).append(TENANT, [seen(1, offer_id="p"), seen(2, offer_id="q")], 5, CAPS)
    with redis.Redis.from_url(redis_url) as client:
        assert not [name for name in client.scan_iter() if b":n:" in name or b":totals:" in name]
    assert await counters_of(single) == {}


async def test_counters_do_not_depend_on_the_order_in_which_events_come(single: AsyncConnection) -> None:
    events = [seen(number, f"customer-{number % 3}") for number in range(30)]
    events = [replace(event, event_time=NOW - timedelta(days=number % 4)) for number, event in enumerate(events)]
    shuffled = random.Random(3).sample(events, len(events))
    log = EventLog(single)
    for event in (*shuffled, *events):
        await log.append(TENANT, [event], 5, CAPS)
    today = [
        event
        for event in events
        if bucket_of(CapPeriod.DAY, event.event_time.timestamp()).name == BUCKETS[DAILY.period]
    ]
    daily = counter_name(BUCKETS[CapPeriod.DAY], DAILY.counter("o"))
    for customer_id, count in Counter(event.customer_id for event in today).items():
        assert (await counters_of(single, customer_id))[daily] == count


async def test_counters_are_forgotten_when_their_bucket_is_over(single: AsyncConnection, redis_url: str) -> None:
    log = EventLog(single)
    long_ago = replace(seen(1), event_time=NOW - timedelta(days=500))
    await log.append(TENANT, [long_ago, replace(seen(2), event_time=NOW - timedelta(days=2))], 5, CAPS)
    assert await counters_of(single) == {}
    await log.append(TENANT, [seen(3)], 5, CAPS)
    end = bucket_of(CapPeriod.DAY, NOW.timestamp()).end + counter_codec.GRACE_SECONDS
    with redis.Redis.from_url(redis_url) as client:
        assert client.expiretime(keys.counters_key(TENANT, "ada")) == end
        (name,) = [name for name in client.scan_iter() if b":totals:" in name]
        assert client.expiretime(name) > NOW.timestamp() + 399 * 24 * 3600


async def test_decisions_are_counted(connection: AsyncConnection) -> None:
    caps = {"o": (Cap(1, CapScope.TOTAL, CapEvent.DECISION), Cap(1, event=CapEvent.DECISION))}
    moves = decision_moves([("home-top", "o")], caps, "", NOW.timestamp())
    for customer_id in ("ada", "bob", "ada"):
        await CapStore(connection).count(TENANT, customer_id, moves, 5)
    assert await counters_of(connection) == {"ever:decision:::o": 2}
    assert await totals_of(connection) == {"ever:decision:::o": 3}


async def test_what_is_counted_for_ever_of_an_offer_that_is_gone_is_forgotten(connection: AsyncConnection) -> None:
    await EventLog(connection).append(TENANT, [seen(1), seen(2, "bob"), seen(3, "bob", "click")], 5, CAPS)
    await CapStore(connection).forget(TENANT, CAPS, 5)
    assert list(await totals_of(connection)) == [counter_name(BUCKETS[CapPeriod.WEEK], "click:::o")]
    await CapStore(connection).forget(TENANT, {}, 5)


async def test_a_customer_has_a_bounded_number_of_counters(single: AsyncConnection) -> None:
    caps = {f"offer-{number}": (Cap(1),) for number in range(600)}
    events = [
        replace(seen(number, offer_id=offer_id), event_time=NOW + timedelta(seconds=number))
        for number, offer_id in enumerate(caps)
    ]
    await EventLog(single).append(TENANT, events, 5, caps)
    counters = await counters_of(single)
    assert len(counters) == 512
    assert counter_name("ever", "impression:::offer-599") in counters


def test_a_value_of_somebody_else_or_damaged_counts_nothing() -> None:
    value = encode_header("ada") + counter_codec.encode_moves(moves_of(seen(1), CAPS["o"][:1]))
    assert len(counter_codec.decode_counters(value, digest_of("ada"))) == 1
    assert counter_codec.decode_counters(value, digest_of("eve")) == {}
    assert counter_codec.decode_counters(b"\x02" + value[1:], digest_of("ada")) == {}
    assert counter_codec.decode_counters(value[:-20], digest_of("ada")) != counter_codec.decode_counters(
        value, digest_of("ada")
    )
    assert counter_codec.decode_counters(value[:20], digest_of("ada")) == {}
    assert counter_codec.decode_counters(value[:16] + bytes(10), digest_of("ada")) == {}


def test_what_is_counted_under_several_ids_of_one_customer_is_added_up() -> None:
    states = [CustomerState(None, EMPTY_PROFILE, counters=counters) for counters in ({"a": 1, "b": 2}, {"b": 3})]
    assert join_states(states, ("ada", "eve")).counters == {"a": 1, "b": 5}
