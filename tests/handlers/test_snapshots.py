"""What requests are answered from, while it is replaced."""

import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.shop import publish_shop
from models.catalog import CatalogChange
from models.offers import Item
from service.handlers.snapshots import Snapshots, SnapshotSettings
from service.store.store import Store
from tests.redis_fixtures import patient

ITEMS = 1_000


@pytest.fixture
async def store(redis_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    publish_shop(redis_url, tmp_path, 10, ITEMS, 20)
    opened = Store.open(patient(redis_url))
    yield opened
    await opened.aclose()


@pytest.fixture
async def snapshots(store: Store) -> AsyncIterator[Snapshots]:
    with ThreadPoolExecutor(1) as executor:
        made = Snapshots(store.models, store.catalog, executor, SnapshotSettings())
        await made.refresh()
        yield made


async def replace_items(store: Store, title: str) -> None:
    for start in range(0, ITEMS, 100):
        items = tuple(Item(f"item-{number:06d}", title) for number in range(start, start + 100))
        await store.catalog.apply("local", CatalogChange(items=items), 5)


async def test_a_request_keeps_the_catalogue_that_it_began_with(store: Store, snapshots: Snapshots) -> None:
    before = snapshots.current("local")
    await replace_items(store, "new")
    await snapshots.refresh()
    await snapshots.refresh()
    assert {item.title for item in snapshots.current("local").catalog.items.values()} == {"new"}
    assert len(before.catalog.items) == ITEMS
    assert before.catalog.items["item-000007"].title == "Item number 7"
    assert before.offers.facts.at(7) is before.catalog.items["item-000007"]


async def test_what_was_replaced_is_let_go_with_the_next_look_at_redis(store: Store, snapshots: Snapshots) -> None:
    item = snapshots.current("local").catalog.items["item-000007"]
    await replace_items(store, "new")
    await snapshots.refresh()
    await snapshots.refresh()
    # The variable here and the argument of the call.
    assert sys.getrefcount(item) == 2
