import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from models.errors import UnavailableError
from models.profile import EMPTY_PROFILE
from service.store import candidate_codec, customer_reader, keys
from service.store.connection import AsyncConnection, RedisSettings, connect
from service.store.customer_reader import CustomerReader
from service.store.embedded import EmbeddedRedis
from service.store.event_log import EventLog
from service.store.generation_record import GenerationRecord, GenerationState
from tests.redis_fixtures import patient
from tests.store import samples

TENANT = "local"
GENERATION = 7
CUSTOMER_IDS = [f"customer-{number}" for number in range(200)]
TABLE = samples.random_table(CUSTOMER_IDS)
POINTER = GenerationRecord(GENERATION, "20260301-0123456789ab", GenerationState.LIVE, samples.NOON)


async def count_reads(connection: AsyncConnection) -> int:
    """Ask Redis how many MGETs it has answered."""
    facts = await connection.client.execute_command("INFO", "commandstats")
    return int(facts.get("cmdstat_mget", {}).get("calls", 0))


async def fill(connection: AsyncConnection) -> None:
    for customer_id, value in zip(CUSTOMER_IDS, candidate_codec.encode_table(TABLE), strict=True):
        await connection.client.execute_command("SET", keys.candidates_key(TENANT, GENERATION, customer_id), value)
    await connection.client.execute_command("SET", keys.MetaKeys(TENANT).pointer, POINTER.to_json())


@pytest.fixture
async def connection(redis_url: str) -> AsyncIterator[AsyncConnection]:
    connection = connect(patient(redis_url))
    await fill(connection)
    yield connection
    await connection.aclose()


async def read_one(reader: CustomerReader, number: int, timeout: float = 5.0) -> bool:
    """Read one customer and tell whether the answer is theirs."""
    answer = await reader.read(TENANT, GENERATION, [CUSTOMER_IDS[number]], timeout)
    found = answer.customers[0].candidates
    expected = TABLE.list_at(number)
    return found is not None and found.candidates.tobytes() == expected.candidates.tobytes()


async def test_an_answer_holds_the_customers_in_the_order_asked(connection: AsyncConnection) -> None:
    order = [5, 3, 5, 0]
    answer = await CustomerReader(connection).read(TENANT, GENERATION, [CUSTOMER_IDS[index] for index in order], 5)
    assert answer.pointer == GENERATION
    for state, index in zip(answer.customers, order, strict=True):
        assert state.candidates is not None
        assert state.candidates.candidates.tobytes() == TABLE.list_at(index).candidates.tobytes()


async def test_an_unknown_customer_has_neither_list_nor_profile(connection: AsyncConnection) -> None:
    answer = await CustomerReader(connection).read(TENANT, GENERATION, ["nobody"], 5)
    assert answer.customers[0].candidates is None
    assert answer.customers[0].profile is EMPTY_PROFILE


async def test_another_generation_has_other_lists_and_the_pointer_tells(connection: AsyncConnection) -> None:
    answer = await CustomerReader(connection).read(TENANT, GENERATION - 1, CUSTOMER_IDS[:1], 5)
    assert (answer.pointer, answer.customers[0].candidates) == (GENERATION, None)


async def test_an_empty_redis_has_no_pointer(redis_url: str) -> None:
    connection = connect(patient(redis_url))
    assert (await CustomerReader(connection).read(TENANT, GENERATION, [], 5)).pointer is None
    await connection.aclose()


async def test_the_pointer_is_the_one_of_this_moment(connection: AsyncConnection) -> None:
    reader = CustomerReader(connection)
    await reader.read(TENANT, GENERATION, [], 5)
    moved = GenerationRecord(8, "v", GenerationState.LIVE, samples.NOON).to_json()
    await connection.client.execute_command("SET", keys.MetaKeys(TENANT).pointer, moved)
    assert (await reader.read(TENANT, GENERATION, [], 5)).pointer == 8


async def test_an_event_is_in_the_profile_at_the_next_read(connection: AsyncConnection) -> None:
    await EventLog(connection).append(TENANT, [samples.event(1, CUSTOMER_IDS[0])], 5)
    answer = await CustomerReader(connection).read(TENANT, GENERATION, CUSTOMER_IDS[:2], 5)
    assert [event.item_id for event in answer.customers[0].profile.events] == ["item-1"]
    assert list(answer.customers[1].profile.events) == []


async def test_a_value_under_a_wrong_key_is_not_believed(connection: AsyncConnection) -> None:
    (value,) = candidate_codec.encode_table(samples.random_table(["somebody else"]))
    await connection.client.execute_command("SET", keys.candidates_key(TENANT, GENERATION, CUSTOMER_IDS[0]), value)
    answer = await CustomerReader(connection).read(TENANT, GENERATION, CUSTOMER_IDS[:1], 5)
    assert answer.customers[0].candidates is None


async def test_reads_of_one_tick_share_a_command(connection: AsyncConnection) -> None:
    before = await count_reads(connection)
    reader = CustomerReader(connection)
    assert all(await asyncio.gather(*(read_one(reader, number) for number in range(100))))
    assert await count_reads(connection) - before == 1


async def test_a_tick_with_too_many_keys_takes_several_commands(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_reader, "MAXIMAL_BATCH_KEYS", 20)
    before = await count_reads(connection)
    reader = CustomerReader(connection)
    assert all(await asyncio.gather(*(read_one(reader, number) for number in range(100))))
    assert await count_reads(connection) - before == 10


async def test_readers_that_give_up_at_any_moment_never_get_each_others_answers(connection: AsyncConnection) -> None:
    reader = CustomerReader(connection)
    right = 0
    for round_ in range(60):
        tasks = [asyncio.create_task(read_one(reader, (round_ * 7 + number) % 200)) for number in range(10)]
        for step, task in enumerate(tasks[:7]):
            await asyncio.sleep(step % 3 * 0.000_1)
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert False not in results
        right += sum(result is True for result in results[7:])
    assert right == 180


async def test_readers_that_run_out_of_time_never_get_each_others_answers(connection: AsyncConnection) -> None:
    reader = CustomerReader(connection)
    for round_ in range(40):
        timeouts = [0.000_05 * (number % 8) for number in range(10)]
        reads = [read_one(reader, (round_ * 3 + number) % 200, timeouts[number]) for number in range(10)]
        results = await asyncio.gather(*reads, read_one(reader, round_), return_exceptions=True)
        assert results[-1] is True
        assert all(result is True or isinstance(result, UnavailableError) for result in results)


async def test_a_frozen_redis_costs_no_more_than_the_time_allowed_and_recovers_by_itself(
    own_redis: EmbeddedRedis,
) -> None:
    connection = connect(RedisSettings(url=own_redis.url), timeout=0.2)
    await fill(connection)
    reader = CustomerReader(connection)
    process_id = own_redis.process_id
    os.kill(process_id, signal.SIGSTOP)
    try:
        for _ in range(3):
            results = await asyncio.gather(*(read_one(reader, n, 0.02) for n in range(20)), return_exceptions=True)
            assert all(isinstance(result, UnavailableError) for result in results)
    finally:
        os.kill(process_id, signal.SIGCONT)
    while True:
        results = await asyncio.gather(*(read_one(reader, number, 0.2) for number in range(20)), return_exceptions=True)
        if not any(isinstance(result, UnavailableError) for result in results):
            break
    assert all(result is True for result in results)
    await reader.aclose()
    await connection.aclose()


async def test_a_redis_that_died_is_said_to_be_unavailable_and_used_again_when_it_is_back(
    own_redis: EmbeddedRedis,
) -> None:
    connection = connect(patient(own_redis.url))
    await fill(connection)
    reader = CustomerReader(connection)
    assert await read_one(reader, 1)
    os.kill(own_redis.process_id, signal.SIGKILL)
    with pytest.raises(UnavailableError):
        while await read_one(reader, 1):
            pass
    with EmbeddedRedis(own_redis.directory):
        while True:
            try:
                assert await read_one(reader, 1)
                break
            except UnavailableError:
                await asyncio.sleep(0.01)
    await connection.aclose()


async def test_a_cluster_answers_as_one_server_does(redis_cluster_url: str) -> None:
    connection = connect(patient(redis_cluster_url))
    await fill(connection)
    reader = CustomerReader(connection)
    assert all(await asyncio.gather(*(read_one(reader, number) for number in range(200))))
    answer = await reader.read(TENANT, GENERATION, CUSTOMER_IDS, 5)
    assert answer.pointer == GENERATION
    assert all(state.candidates is not None for state in answer.customers)
    await connection.aclose()
