import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from models.catalog import CatalogChange
from models.offers import Offer
from models.terms import Budget, Cap, CapEvent, CapScope
from service.decision.query import Query, SlateQuery
from service.decision.slate import decide
from service.handlers.caller import Caller, Context
from service.handlers.caps import Caps, without_uncounted
from service.handlers.snapshots import Snapshots, SnapshotSettings
from service.store.catalog_store import CatalogStore
from service.store.connection import RedisSettings
from service.store.store import Store
from tests.decision.samples import HOME, catalog, customer, offers_of, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id
from tests.redis_fixtures import patient

CALLER = Caller("local", "local")
LISTED = candidate_list([candidate(row, 1 - row / 100) for row in range(4)])
ONCE = Cap(1, CapScope.TOTAL, CapEvent.DECISION)
OFFERS = (
    Offer("once", (item_id(0),), caps=(ONCE,)),
    Offer("scarce", (item_id(1),), budget=Budget(1)),
    Offer("spent", (item_id(1),), budget=Budget(1), priority=-1),
    Offer("plenty", (item_id(2),)),
)
SHOP = snapshot(shop=catalog(OFFERS))
QUERY = Query([SlateQuery(replace(HOME, plain_items=False), 2)], time.time())


def caps_on(store: Store, executor: ThreadPoolExecutor) -> Caps:
    snapshots = Snapshots(store.models, store.catalog, executor, SnapshotSettings())
    return Caps(store.caps, snapshots, "local", timeout=5.0)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    opened = Store.open(patient(redis_url))
    yield opened
    await opened.aclose()


@pytest.fixture
async def lost() -> AsyncIterator[Store]:
    opened = Store.open(RedisSettings(url="redis://127.0.0.1:1"))
    yield opened
    await opened.aclose()


async def test_what_everybody_did_is_asked_only_where_a_cap_counts_it(store: Store) -> None:
    with ThreadPoolExecutor(1) as executor:
        snapshots = Snapshots(store.models, store.catalog, executor, SnapshotSettings())
        caps = Caps(store.caps, snapshots, "local", timeout=5.0)
        assert caps.completed(SHOP, QUERY, is_lost=False).totals is None
        await caps.refresh()
        who = customer(LISTED)
        slates = decide(SHOP, caps.completed(SHOP, QUERY, is_lost=False), who)
        assert await caps.count(CALLER, SHOP, QUERY, who, slates, Context())
        await caps.refresh()
        assert caps.completed(SHOP, QUERY, is_lost=False).totals == {}
        version = await CatalogStore(store.connections[1]).apply("local", CatalogChange(offers=OFFERS), 5)
        await snapshots.catch_up("local", version)
        await caps.refresh()
        query = caps.completed(SHOP, QUERY, is_lost=False)
    assert query.totals == {"ever:decision:::once": 1}
    assert offers_of(decide(SHOP, query, who)[0]) == ["scarce", "plenty"]


async def test_decisions_that_cannot_be_counted_are_not_made(lost: Store) -> None:
    with ThreadPoolExecutor(1) as executor:
        caps = caps_on(lost, executor)
        who = customer(LISTED)
        slates = decide(SHOP, QUERY, who)
        assert offers_of(slates[0]) == ["once", "scarce"]
        assert not await caps.count(CALLER, SHOP, QUERY, who, slates, Context())
        query = without_uncounted(SHOP, QUERY, slates)
        assert offers_of(decide(SHOP, query, who)[0]) == ["scarce", "plenty"]
        known_lost = caps.completed(SHOP, QUERY, is_lost=True)
        assert "once" not in offers_of(decide(SHOP, known_lost, who)[0])


async def test_a_redis_that_cannot_be_asked_leaves_what_was_known(lost: Store) -> None:
    with ThreadPoolExecutor(1) as executor:
        caps = caps_on(lost, executor)
        await caps.refresh()
        assert caps.completed(SHOP, QUERY, is_lost=True).totals == {}
