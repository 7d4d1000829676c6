import asyncio
import multiprocessing
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from models.errors import UnavailableError
from models.events import REDEEM, Event
from models.terms import Budget
from service.store import functions
from service.store.budget_store import (
    BudgetState,
    BudgetStore,
    held_offers,
    redeem_blocking,
    redemptions_among,
    reserve_call,
)
from service.store.connection import RedisSettings, connect, connect_blocking
from service.store.embedded import EmbeddedRedis
from tests.store.samples import NOON

TENANT = "local"
PROCESSES = 8
KEPT_SECONDS = 2


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[BudgetStore]:
    connection = connect(RedisSettings(url=redis_url))
    yield BudgetStore(connection)
    await connection.aclose()


def redemption(customer_id: str, number: int = 1, offer_id: str = "o") -> Event:
    return Event(f"{customer_id}-{number}", customer_id, REDEEM, NOON, offer_id=offer_id)


async def test_a_budget_has_as_many_units_as_it_says(store: BudgetStore) -> None:
    budgets = {"o": Budget(2)}
    held = [await store.reserve(TENANT, name, budgets, 5) for name in ("ada", "bob", "eve")]
    assert held == [{"o"}, {"o"}, set()]
    assert await store.state(TENANT, "o") == BudgetState(2, 0)


async def test_who_holds_a_unit_is_shown_the_offer_again_without_a_second_one(store: BudgetStore) -> None:
    for _ in range(3):
        assert await store.reserve(TENANT, "ada", {"o": Budget(1)}, 5) == {"o"}
    assert await store.state(TENANT, "o") == BudgetState(1, 0)


async def test_a_redeemed_unit_is_gone_for_good_and_counts_once_per_event(store: BudgetStore) -> None:
    await store.reserve(TENANT, "ada", {"o": Budget(2)}, 5)
    assert [await store.redeem(TENANT, [redemption("ada")], 5) for _ in range(2)] == [1, 0]
    assert await store.state(TENANT, "o") == BudgetState(0, 1)
    assert await store.reserve(TENANT, "bob", {"o": Budget(1)}, 5) == frozenset()
    assert await store.reserve(TENANT, "bob", {"o": Budget(2)}, 5) == {"o"}


async def test_a_unit_is_free_again_when_its_time_ends(store: BudgetStore) -> None:
    await store.reserve(TENANT, "ada", {"o": Budget(1, 1)}, 5)
    assert await store.reserve(TENANT, "bob", {"o": Budget(1, 1)}, 5) == frozenset()
    await asyncio.sleep(1.05)
    assert await store.reserve(TENANT, "bob", {"o": Budget(1, 1)}, 5) == {"o"}


async def test_many_budgets_are_asked_at_once(store: BudgetStore) -> None:
    budgets = {f"offer-{number}": Budget(1) for number in range(120)}
    await store.reserve(TENANT, "ada", {"offer-7": Budget(1), "offer-119": Budget(1)}, 5)
    assert await store.reserve(TENANT, "bob", budgets, 5) == budgets.keys() - {"offer-7", "offer-119"}


async def test_a_budget_that_is_forgotten_begins_anew(store: BudgetStore) -> None:
    await store.reserve(TENANT, "ada", {"o": Budget(1)}, 5)
    await store.redeem(TENANT, [redemption("bob")], 5)
    await store.forget(TENANT, ["o"], 5)
    assert await store.state(TENANT, "o") == BudgetState(0, 0)


def test_only_redemptions_of_offers_with_a_budget_are_counted() -> None:
    view = Event("view", "ada", "view", NOON, offer_id="o")
    assert redemptions_among([view, redemption("ada"), redemption("ada", offer_id="p")], {"o": Budget(1)}) == [
        redemption("ada")
    ]


async def test_without_redis_nothing_is_held() -> None:
    connection = connect(RedisSettings(url="redis://127.0.0.1:1"))
    with pytest.raises(UnavailableError):
        await BudgetStore(connection).reserve(TENANT, "ada", {"o": Budget(1)}, 5)
    await connection.aclose()


def _race(url: str, number: int, budget: Budget, seconds: float, log: str) -> None:
    """Reserve for one customer after the other until the time is over, and redeem for every other one."""
    chance = random.Random(number)
    with connect_blocking(RedisSettings(url=url)) as connection, Path(log).open("a", encoding="utf-8") as served:
        end, step = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            step += 1
            customer = f"{number}-{step}"
            held = functions.call_blocking(connection, reserve_call(TENANT, customer, {"o": budget}))
            if held_offers(["o"], held) and chance.random() < 0.5:
                redeem_blocking(connection, TENANT, [redemption(customer)])
                served.write(f"{customer}\n")
                served.flush()


def _start(url: str, number: int, budget: Budget, seconds: float, log: Path) -> BaseProcess:
    arguments = (url, number, budget, seconds, str(log))
    process = multiprocessing.get_context("spawn").Process(target=_race, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize("units", [1, 30, 1_000])
async def test_processes_that_race_and_die_never_hand_out_one_too_many(
    own_redis: EmbeddedRedis, tmp_path: Path, units: int
) -> None:
    budget, log, chance = Budget(units, KEPT_SECONDS), tmp_path / "served", random.Random(units)
    racers = [_start(own_redis.url, number, budget, 4.0, log) for number in range(PROCESSES)]
    connection = connect(RedisSettings(url=own_redis.url))
    store = BudgetStore(connection)
    victims = chance.sample(racers, 3)
    while any(racer.is_alive() for racer in racers):
        state = await store.state(TENANT, "o")
        # Read in two steps: a unit redeemed in between may be seen twice, so only redemptions are bounded here.
        assert state.redeemed <= units
        if state.redeemed and victims and chance.random() < 0.2:
            os.kill(victims.pop().pid or 0, signal.SIGKILL)
        await asyncio.sleep(0.05)
    assert {racer.exitcode for racer in racers} <= {0, -signal.SIGKILL}
    await asyncio.sleep(KEPT_SECONDS + 0.1)
    served = (await store.state(TENANT, "o")).redeemed
    returned = 0
    while await store.reserve(TENANT, f"last-{returned}", {"o": Budget(units, 60)}, 5):
        returned += 1
    assert served + returned == units
    assert len(log.read_text().splitlines()) <= served
    await connection.aclose()
