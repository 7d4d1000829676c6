import asyncio
from pathlib import Path

import pytest
from hypothesis import given, strategies

from models.customers import Consent, ConsentStatus, CustomerRecord
from models.errors import InvalidInputError
from models.identities import first_ids, groups_of
from service.store.connection import connect, connect_blocking
from service.store.customer_exports import read_links, restore_customers, write_customers
from service.store.customer_reader import CustomerReader
from service.store.customer_store import CustomerStore
from service.store.link_store import LinkStore
from service.store.record_reader import RecordReader
from tests.redis_fixtures import patient
from tests.store.samples import NOON

TENANT = "local"
NAMES = ("ada", "card", "device", "bob")
RECORD = CustomerRecord(
    "bob", "Asia/Seoul", "ko", {"tier": "gold"}, (Consent("m", "", ConsentStatus.GRANTED, NOON),), NOON
)

pairs = strategies.tuples(strategies.sampled_from("abcdef"), strategies.sampled_from("abcdef"))


async def told(url: str) -> list[tuple[CustomerRecord | None, tuple[str, ...]]]:
    connection = connect(patient(url))
    read = await RecordReader(CustomerReader(connection)).read(TENANT, 1, NAMES, 5)
    await connection.aclose()
    return [(state.record, state.identity_ids) for state in read.customers]


async def tell(url: str) -> None:
    connection = connect(patient(url))
    await CustomerStore(connection).store(TENANT, [RECORD], 5)
    await LinkStore(connection).link(TENANT, "device", ["ada"], 5)
    await LinkStore(connection).link(TENANT, "card", ["device"], 5)
    await connection.aclose()


def test_an_emptied_redis_is_filled_from_the_file(redis_url: str, tmp_path: Path) -> None:
    asyncio.run(tell(redis_url))
    before, path = asyncio.run(told(redis_url)), tmp_path / "customers.jsonl"
    with connect_blocking(patient(redis_url)) as connection:
        assert write_customers(path, connection, TENANT) == 3
        connection.client.execute_command("FLUSHALL")
        for _ in range(2):
            assert restore_customers(path, connection, TENANT) == 3
    assert asyncio.run(told(redis_url)) == before
    assert first_ids(read_links(path)) == {"card": "ada", "device": "ada"}


def test_a_strange_file_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "customers.jsonl"
    path.write_text('{"format": 1, "kind": "customers"}\n{"kind": "link", "customer_id": "ada"}\n')
    with pytest.raises(InvalidInputError, match="line 2: names no alias_id"):
        read_links(path)
    path.write_text('{"format": 1, "kind": "catalog"}\n')
    with pytest.raises(InvalidInputError, match="line 1: is not of a file"):
        read_links(path)


@given(strategies.lists(pairs, max_size=8), strategies.data())
def test_who_is_one_customer_does_not_depend_on_the_order_of_links(
    links: list[tuple[str, str]], data: strategies.DataObject
) -> None:
    groups = groups_of(links)
    assert groups_of(data.draw(strategies.permutations([(other, one) for one, other in links]))) == groups
    place = {name: number for number, names in enumerate(groups) for name in names}
    assert all(place[one] == place[other] for one, other in links if one != other)
    assert sum(len(names) for names in groups) == len(place)
