import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from models.catalog import Catalog, CatalogChange, Expectation
from models.errors import ConflictError, InvalidInputError, UnavailableError
from models.offers import Audience, Item, Offer, Placement
from service.store import catalog_store
from service.store.catalog_store import CatalogStore
from service.store.connection import AsyncConnection, RedisSettings, connect
from service.store.exports import read_catalog, read_events, write_catalog, write_events
from tests.redis_fixtures import patient
from tests.store import samples

TENANT = "local"
SHOP = CatalogChange(
    items=(Item("apple", "Äpfel"), Item("bread")),
    offers=(Offer("half", ("apple",), priority=3),),
    placements=(Placement("home-top", 5),),
    audiences=(Audience("vip", frozenset({"ada", "bob"})),),
)


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[CatalogStore]:
    connection = connect(patient(request.getfixturevalue(request.param)))
    yield CatalogStore(connection)
    await connection.aclose()


@pytest.fixture
async def connection(redis_url: str) -> AsyncIterator[AsyncConnection]:
    connection = connect(patient(redis_url))
    yield connection
    await connection.aclose()


async def test_a_shop_that_said_nothing_has_an_empty_catalogue(store: CatalogStore) -> None:
    assert await store.load(TENANT) == Catalog()
    assert await store.changes_since(TENANT, 0) == []


async def test_what_was_applied_is_loaded(store: CatalogStore) -> None:
    version = await store.apply(TENANT, SHOP, 5)
    assert await store.load(TENANT) == Catalog().apply(replace(SHOP, version=version))


async def test_following_the_changes_ends_where_loading_ends(store: CatalogStore) -> None:
    catalog = Catalog().apply(replace(SHOP, version=await store.apply(TENANT, SHOP, 5)))
    await store.apply(TENANT, CatalogChange(items=(Item("apple", "Pommes"),), deleted_item_ids=("bread",)), 5)
    await store.apply(TENANT, CatalogChange(deleted_offer_ids=("half", "absent"), placements=(Placement("x"),)), 5)
    changes = await store.changes_since(TENANT, catalog.version)
    assert changes is not None
    for change in changes:
        catalog = catalog.apply(change)
    assert catalog == await store.load(TENANT)
    assert set(catalog.items) == {"apple"}


async def test_whoever_follows_ends_where_loading_ends_however_far_behind(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_store, "MAXIMAL_CHANGES", 20)
    store, followed = CatalogStore(connection), Catalog()
    for count in (1, 17, 30):
        for number in range(count):
            await store.apply(TENANT, CatalogChange(items=(Item(f"item-{number}", f"{count}"),)), 5)
        followed = await store.follow(TENANT, followed)
        assert followed == await store.load(TENANT)
    assert await store.follow(TENANT, followed) is followed


async def test_a_batch_of_all_kinds_is_applied_in_its_order(store: CatalogStore) -> None:
    await store.apply(TENANT, CatalogChange(items=(Item("old"), Item("both", "before"))), 5)
    change = CatalogChange(
        items=(*(Item(f"item-{number}") for number in range(600)), Item("both", "first"), Item("both", "after")),
        offers=tuple(Offer(f"offer-{number}", ("apple",)) for number in range(300)),
        placements=(Placement("home", 3), Placement("home", 4)),
        deleted_item_ids=("old", "both"),
    )
    await store.apply(TENANT, change, 5)
    loaded = await store.load(TENANT)
    assert set(loaded.items) == {f"item-{number}" for number in range(600)} | {"both"}
    assert loaded.items["both"].title == "after"
    assert len(loaded.offers) == 300
    versions = [one.placement for one in await store.placement_versions(TENANT, "home")]
    assert [placement.size for placement in versions if placement is not None] == [4, 3]


async def test_versions_ascend_one_by_one(store: CatalogStore) -> None:
    first = await store.apply(TENANT, SHOP, 5)
    assert [await store.apply(TENANT, SHOP, 5) for _ in range(3)] == [first + 1, first + 2, first + 3]
    assert await store.version(TENANT) == first + 3


async def test_who_is_too_far_behind_has_to_load_again(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_store, "MAXIMAL_CHANGES", 2)
    store = CatalogStore(connection)
    first, *_ = [await store.apply(TENANT, SHOP, 5) for _ in range(5)]
    assert await store.changes_since(TENANT, first) is None
    changes = await store.changes_since(TENANT, first + 2)
    assert changes is not None
    assert [change.version for change in changes] == [first + 3, first + 4]


async def test_large_changes_are_kept_up_to_a_number_of_bytes(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_store, "MAXIMAL_CHANGES_BYTES", 1_000)
    store = CatalogStore(connection)
    large = CatalogChange(items=(Item("apple", "x" * 600),))
    first = await store.apply(TENANT, large, 5)
    assert len(await store.changes_since(TENANT, first - 1) or ()) == 1
    await store.apply(TENANT, large, 5)
    assert await store.changes_since(TENANT, first - 1) is None
    assert len(await store.changes_since(TENANT, first) or ()) == 1


async def test_who_knows_more_than_redis_does_has_to_load_again(store: CatalogStore) -> None:
    version = await store.apply(TENANT, SHOP, 5)
    assert await store.changes_since(TENANT, version + 1) is None


async def test_a_large_batch_is_applied_whole(store: CatalogStore) -> None:
    items = tuple(Item(f"item-{number}") for number in range(10_000))
    await store.apply(TENANT, CatalogChange(items=items), 5)
    assert len((await store.load(TENANT)).items) == 10_000


async def test_loading_while_others_write_gives_a_state_that_there_was(connection: AsyncConnection) -> None:
    store = CatalogStore(connection)
    await store.apply(TENANT, CatalogChange(items=tuple(Item(f"item-{n}", "0") for n in range(2_000))), 5)
    done = asyncio.Event()

    async def rewrite_everything() -> None:
        for title in range(1, 30):
            await store.apply(
                TENANT, CatalogChange(items=tuple(Item(f"item-{n}", str(title)) for n in range(2_000))), 5
            )
        done.set()

    writer = asyncio.create_task(rewrite_everything())
    while not done.is_set():
        titles = {item.title for item in (await store.load(TENANT)).items.values()}
        assert len(titles) == 1
    await writer


async def test_an_etag_names_the_stored_state_however_it_is_read(store: CatalogStore) -> None:
    version = await store.apply(TENANT, CatalogChange(offers=(Offer("o", ("apple",)),)), 5)
    loaded = (await store.load(TENANT)).offers["o"]
    changes = await store.changes_since(TENANT, version - 1)
    assert changes is not None
    assert loaded.etag == changes[0].offers[0].etag != ""
    await store.apply(TENANT, CatalogChange(offers=(Offer("o", ("apple",), title="new"),)), 5)
    assert (await store.load(TENANT)).offers["o"].etag != loaded.etag


@pytest.mark.parametrize("etag", ["stale", "0" * 16, "0" * 40])
async def test_a_batch_with_a_stale_etag_stores_nothing_of_it(store: CatalogStore, etag: str) -> None:
    first = Offer("o", ("apple",), title="first")
    version = await store.apply(TENANT, CatalogChange(offers=(first,)), 5)
    change = CatalogChange(
        items=(Item("apple"),),
        offers=(replace(first, title="second"),),
        expectations=(Expectation("offers", "o", etag),),
    )
    with pytest.raises(ConflictError, match="offers: o "):
        await store.apply(TENANT, change, 5)
    catalog = await store.load(TENANT)
    assert (catalog.version, catalog.offers["o"].title, dict(catalog.items)) == (version, "first", {})


async def test_a_batch_with_current_etags_is_stored_and_one_for_what_is_gone_is_not(store: CatalogStore) -> None:
    await store.apply(TENANT, CatalogChange(offers=(Offer("o", ("apple",)),), placements=(Placement("p"),)), 5)
    catalog = await store.load(TENANT)
    expectations = (
        Expectation("offers", "o", catalog.offers["o"].etag),
        Expectation("placements", "p", catalog.placements["p"].etag),
    )
    await store.apply(TENANT, CatalogChange(deleted_offer_ids=("o",), expectations=expectations), 5)
    with pytest.raises(ConflictError):
        await store.apply(TENANT, CatalogChange(offers=(Offer("o", ("a",)),), expectations=expectations), 5)


async def test_without_redis_nothing_is_applied_or_loaded() -> None:
    connection = connect(RedisSettings(url="redis://127.0.0.1:1"))
    store = CatalogStore(connection)
    with pytest.raises(UnavailableError):
        await store.apply(TENANT, SHOP, 5)
    with pytest.raises(UnavailableError):
        await store.load(TENANT)
    await connection.aclose()


def test_an_exported_catalogue_is_read_as_it_was(tmp_path: Path) -> None:
    catalog = Catalog().apply(SHOP)
    path = tmp_path / "catalog.jsonl"
    assert write_catalog(path, catalog) == 5
    assert list(read_catalog(path)) == [SHOP]


def test_exported_events_are_read_as_they_were(tmp_path: Path) -> None:
    events = [samples.event(number) for number in range(3)]
    path = tmp_path / "events.jsonl"
    assert write_events(path, events) == 3
    assert list(read_events(path)) == [events]


def test_an_export_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events(path, [samples.event(1)])
    with pytest.raises(ValueError, match="JSON"):
        write_events(path, [samples.event(2), replace(samples.event(3), quantity=float("nan"))])
    assert list(read_events(path)) == [[samples.event(1)]]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["", "{}\n", '{"format": 2, "kind": "catalog"}\n', "no JSON\n"])
def test_a_file_that_is_no_catalogue_is_refused_at_its_first_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "catalog.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=r"catalog\.jsonl, line 1"):
        list(read_catalog(path))


@pytest.mark.parametrize("line", ["{", '{"kind": "orders", "id": "a", "record": {}}', '{"kind": "offers", "id": "a"}'])
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "catalog.jsonl"
    write_catalog(path, Catalog().apply(SHOP))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidInputError, match=r"catalog\.jsonl, line 7"):
        list(read_catalog(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"absent\.jsonl"):
        list(read_events(tmp_path / "absent.jsonl"))
