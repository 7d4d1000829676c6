from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from models.offers import Offer
from models.terms import Budget
from service.decision.query import Query, SlateQuery
from service.decision.slate import decide
from service.handlers.caller import Caller, Context
from service.handlers.reservations import Reservations
from service.handlers.snapshots import Snapshots, SnapshotSettings
from service.store.connection import RedisSettings
from service.store.store import Store
from tests.decision.samples import HOME, NOW, catalog, customer, offers_of, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id

CALLER = Caller("local", "local")
LISTED = candidate_list([candidate(row, 1 - row / 100) for row in range(12)])
SCARCE = [Offer(f"scarce-{row:02d}", (item_id(row),), budget=Budget(1)) for row in range(12)]
SHOP = snapshot(shop=catalog([*SCARCE, Offer("plenty", (item_id(0),), priority=-1)]))
QUERY = Query([SlateQuery(replace(HOME, plain_items=False), 2)], NOW.timestamp())


def reservations_on(store: Store, executor: ThreadPoolExecutor) -> Reservations:
    snapshots = Snapshots(store.models, store.catalog, executor, SnapshotSettings())
    return Reservations(store.budgets, store.links, snapshots, timeout=5.0, write_timeout=5.0)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    opened = Store.open(RedisSettings(url=redis_url))
    yield opened
    await opened.aclose()


async def test_what_has_no_unit_left_gives_way_to_the_next_in_the_same_call(store: Store) -> None:
    with ThreadPoolExecutor(1) as executor:
        reservations = reservations_on(store, executor)
        shown = []
        for name in ("ada", "bob", "eve"):
            who = customer(LISTED, customer_id=name)
            slates, query, asked = await reservations.decide(CALLER, SHOP, QUERY, who, Context(), is_lost=False)
            assert asked
            assert slates == decide(SHOP, query, who)
            shown.append(offers_of(slates[0]))
    assert shown == [["scarce-00", "scarce-01"], ["plenty", "scarce-02"], ["plenty", "scarce-03"]]


async def test_whatever_others_hold_nobody_is_shown_what_they_hold_no_unit_of(store: Store) -> None:
    everything = {offer.offer_id: Budget(1) for offer in SCARCE[:11]}
    await store.budgets.reserve("local", "greedy", everything, 5)
    with ThreadPoolExecutor(1) as executor:
        reservations = reservations_on(store, executor)
        who = customer(LISTED)
        slates, _, asked = await reservations.decide(CALLER, SHOP, QUERY, who, Context(), is_lost=False)
    assert asked
    shown = offers_of(slates[0])
    assert shown[0] == "plenty"
    for offer_id in shown[1:]:
        assert await store.budgets.reserve("local", "nobody", {offer_id: Budget(1)}, 5) == frozenset()
        assert offer_id not in everything


@pytest.mark.parametrize("is_lost", [True, False])
async def test_without_redis_offers_with_a_budget_are_left_out(is_lost: bool) -> None:
    lost = Store.open(RedisSettings(url="redis://127.0.0.1:1"))
    with ThreadPoolExecutor(1) as executor:
        reservations = reservations_on(lost, executor)
        slates, _, asked = await reservations.decide(CALLER, SHOP, QUERY, customer(LISTED), Context(), is_lost=is_lost)
    assert not asked
    assert offers_of(slates[0]) == ["plenty"]
    await lost.aclose()
