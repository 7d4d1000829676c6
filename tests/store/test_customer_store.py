from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import given, strategies

from models.customers import Consent, ConsentStatus, CustomerRecord
from service.store import customer_record_codec, keys
from service.store.connection import AsyncConnection, connect
from service.store.customer_reader import CustomerReader
from service.store.customer_record_codec import UNKNOWN, StoredCustomer
from service.store.customer_store import CustomerStore
from service.store.event_log import EventLog
from service.store.record_reader import RecordReader
from tests.redis_fixtures import patient
from tests.store import samples

TENANT = "local"

values = (
    samples.texts | strategies.booleans() | strategies.floats(-1e9, 1e9) | strategies.lists(samples.texts).map(tuple)
)
milliseconds = samples.times.map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000))
consents = strategies.builds(
    Consent, samples.identifiers, samples.texts, strategies.sampled_from(ConsentStatus), milliseconds
)
records = strategies.builds(
    CustomerRecord,
    samples.identifiers,
    time_zone=samples.texts,
    language=samples.texts,
    attributes=strategies.dictionaries(samples.identifiers, values, max_size=4),
    consents=strategies.lists(consents, max_size=3).map(tuple),
    update_time=milliseconds,
)


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[AsyncConnection]:
    connection = connect(patient(request.getfixturevalue(request.param)))
    yield connection
    await connection.aclose()


@given(records)
def test_a_record_is_read_as_it_was_written(record: CustomerRecord) -> None:
    value = customer_record_codec.encode_header(record.customer_id) + customer_record_codec.encode_record(record)
    assert customer_record_codec.decode(record.customer_id, value) == StoredCustomer(record, ())


@given(records, strategies.binary(max_size=60))
def test_a_damaged_or_strange_value_says_nothing(record: CustomerRecord, damage: bytes) -> None:
    value = customer_record_codec.encode_header(record.customer_id) + customer_record_codec.encode_record(record)
    assert customer_record_codec.decode("somebody else", value) == UNKNOWN
    customer_record_codec.decode(record.customer_id, value[: len(damage)] + damage)


async def test_what_was_stored_is_read_with_profile_and_list(connection: AsyncConnection) -> None:
    stored = [
        CustomerRecord(f"customer-{number}", language="ko", update_time=samples.NOON + timedelta(days=number))
        for number in range(40)
    ]
    await CustomerStore(connection).store(TENANT, stored, 5)
    await EventLog(connection).append(TENANT, [samples.event(1, "customer-7")], 5)
    read = await RecordReader(CustomerReader(connection)).read(TENANT, 1, ["customer-7", "nobody", "customer-39"], 5)
    assert [state.record for state in read.customers] == [stored[7], None, stored[39]]
    assert [len(state.profile.events) for state in read.customers] == [1, 0, 0]


async def test_storing_again_replaces_what_was_stored(connection: AsyncConnection) -> None:
    store, reader = CustomerStore(connection), RecordReader(CustomerReader(connection))
    for language in ("ko", "de"):
        await store.store(TENANT, [CustomerRecord("ada", language=language, attributes={language: True})], 5)
    (state,) = (await reader.read(TENANT, 1, ["ada"], 5)).customers
    assert state.record == CustomerRecord("ada", language="de", attributes={"de": True})


async def test_a_shop_begins_to_keep_records_once(connection: AsyncConnection) -> None:
    store = CustomerStore(connection)
    assert [await store.begin(TENANT, 5) for _ in range(2)] == [True, False]
    assert await connection.client.execute_command("EXISTS", keys.MetaKeys(TENANT).customers)
