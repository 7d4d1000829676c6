"""The queue of pushes: whatever happens in whatever order, each push has one life."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from models.erasures import Erasure, erased_id
from models.pushes import Push, PushMark, PushState
from models.triggers import Trigger, TriggerKind
from service.store import functions, push_codec
from service.store.candidate_codec import digest_of
from service.store.connection import connect, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.erasure_store import ErasureStore
from service.store.event_log import DAY_SECONDS
from service.store.keys import marks_key
from service.store.push_marks import MARK_SECONDS
from service.store.push_store import Leased, PushStore, add_call, forget_call, mark_of, overdue_call
from service.store.residues import RedisResidues
from tests.redis_fixtures import patient

TENANT = "local"
NOW = 1_760_000_000.0
TRIGGER = Trigger("cart", TriggerKind.ABANDONED_CART, cooldown=1_000, spacing=100)


def push(customer_id: str = "ada", key: str = "k", due: float = NOW, trigger: str = "cart") -> Push:
    return Push(key, customer_id, trigger, "item", "", NOW - 60, due, NOW + DAY_SECONDS)


class Queue:
    """Is the queue of one Redis."""

    def __init__(self, url: str) -> None:
        self.connection = connect(patient(url))
        self.store = PushStore(self.connection)

    async def add(self, *pushes: Push) -> int:
        calls = [add_call(TENANT, one.customer_id, [one], NOW) for one in pushes]
        return sum([await functions.call(self.connection, call) for call in calls])

    async def lease(self, now: float = NOW, seconds: float = 60) -> list[Leased]:
        return await self.store.lease(TENANT, now, now + seconds, 100, 5)

    async def sent(self, one: Push, now: float = NOW) -> bool:
        return await self.store.end(TENANT, one, 0, mark_of(one, PushState.SENT, now), 5)

    async def grant(self, one: Push, now: float = NOW, trigger: Trigger = TRIGGER) -> int:
        return await self.store.grant(TENANT, one, trigger, one.customer_id, now, 5)


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[Queue]:
    queue = Queue(redis_url)
    yield queue
    await queue.connection.aclose()


def test_a_push_is_read_as_it_was_written() -> None:
    one = push(key="cart\nbread\n1.5")
    assert push_codec.decode_push(push_codec.encode_push(one)) == one
    mark = PushMark(one.push_id, "cart", "item", "", PushState.DROPPED, NOW, "consent")
    assert push_codec.decode_mark(one.push_id, push_codec.encode_mark(mark, NOW)) == mark


async def test_a_push_is_leased_when_it_is_due_and_by_one_alone(queue: Queue) -> None:
    await queue.add(push(due=NOW + 10))
    assert await queue.lease() == []
    (leased,) = await queue.lease(NOW + 10)
    assert (leased.push, leased.lease, leased.due_time) == (push(due=NOW + 10), 1, NOW + 10)
    assert await queue.lease(NOW + 11) == []


async def test_a_lease_that_ends_lets_the_push_come_again(queue: Queue) -> None:
    await queue.add(push())
    await queue.lease()
    assert [one.lease for one in await queue.lease(NOW + 60)] == [2]


async def test_what_was_sent_never_comes_again_however_often_it_is_added(queue: Queue) -> None:
    await queue.add(push())
    await queue.lease()
    assert await queue.sent(push())
    assert not await queue.sent(push())
    assert await queue.add(push()) == 0
    assert await queue.lease(NOW + DAY_SECONDS) == []


async def test_who_lost_the_lease_may_neither_give_back_nor_refuse(queue: Queue) -> None:
    await queue.add(push())
    (early,) = await queue.lease()
    (late,) = await queue.lease(NOW + 60)
    assert not await queue.store.put_back(TENANT, early, NOW, 5)
    assert not await queue.store.end(TENANT, push(), early.lease, mark_of(push(), PushState.DROPPED, NOW), 5)
    assert await queue.store.put_back(TENANT, late, NOW + 90, 5)
    assert [one.lease for one in await queue.lease(NOW + 90)] == [3]


async def test_pauses_hold_for_one_trigger_and_for_all(queue: Queue) -> None:
    assert await queue.grant(push(key="a")) == 0
    assert await queue.grant(push(key="a"), NOW + 1) == 0
    assert await queue.grant(push(key="b"), NOW + 50) == NOW + 1 + 1_000
    other = Trigger("ending", TriggerKind.OFFER_ENDING, cooldown=0, spacing=100)
    assert await queue.grant(push(key="c"), NOW + 50, other) == NOW + 1 + 100
    assert await queue.grant(push(key="c"), NOW + 101, other) == 0


async def test_marks_tell_what_became_of_pushes_and_go_in_the_end(queue: Queue) -> None:
    await queue.add(push(key="a"), push(key="b"))
    await queue.sent(push(key="a"), NOW + 5)
    marks = (await queue.store.marks(TENANT, ["ada"], 5)).by_id
    assert {mark.state for mark in marks.values()} == {PushState.WAITING, PushState.SENT}
    assert marks[push(key="a").push_id].time == NOW + 5
    seconds = await queue.connection.client.execute_command("TTL", marks_key(TENANT, "ada"))
    assert 0 < seconds <= MARK_SECONDS


async def test_what_waits_is_listed_in_order_and_counted(queue: Queue) -> None:
    names = [f"customer-{number}" for number in range(20)]
    await queue.add(*(push(name, due=NOW + number) for number, name in enumerate(names)))
    listed, count = await queue.store.waiting(TENANT, 5, 5)
    assert ([one.push.customer_id for one in listed], count) == (names[:5], 20)


async def test_pushes_that_nobody_leases_are_forgotten(queue: Queue) -> None:
    await queue.add(push(), push("bob", due=NOW + DAY_SECONDS))
    late = NOW + 7 * DAY_SECONDS + 1
    calls = [overdue_call(TENANT, number, late, 10) for number in range(16)]
    assert sum([await functions.call(queue.connection, call) for call in calls]) == 1
    assert [one.push.customer_id for one in await queue.lease(late)] == ["bob"]


async def test_of_an_erased_customer_nothing_is_left_and_nothing_comes_back(queue: Queue) -> None:
    await queue.add(push(), push("bob"))
    (own, _) = sorted(await queue.lease(), key=lambda one: one.push.customer_id)
    erasure = Erasure("r", datetime.now(UTC), (erased_id("ada"),))
    await ErasureStore(queue.connection).begin(TENANT, erasure, ["ada"], 5)
    assert await queue.add(push(key="late")) == 0
    assert await queue.grant(push()) == -1
    assert not await queue.store.put_back(TENANT, own, NOW, 5)
    assert not await queue.sent(push())
    assert (await queue.store.marks(TENANT, ["ada"], 5)).by_id == {}
    assert [one.push.customer_id for one in await queue.lease(NOW + 60)] == ["bob"]


async def test_a_push_that_was_left_behind_is_found_and_removed(queue: Queue, redis_url: str) -> None:
    await queue.add(push(), push("bob"))
    await queue.connection.client.execute_command("DEL", marks_key(TENANT, "ada"))
    with connect_blocking(patient(redis_url)) as connection:
        residues = RedisResidues(connection, TENANT, frozenset({digest_of("ada")}))
        found = list(residues.shared())
        assert {residue.place for residue in found} == {"pushes"}
        for residue in found:
            residue.remove()
        assert list(residues.shared()) == []
    assert [one.push.customer_id for one in await queue.lease()] == ["bob"]


async def test_forgetting_a_customer_leaves_others_alone(queue: Queue) -> None:
    await queue.add(push(key="a"), push(key="b"), push("bob"))
    assert await functions.call(queue.connection, forget_call(TENANT, "ada")) == 2
    assert [one.push.customer_id for one in await queue.lease()] == ["bob"]


KEYS = strategies.sampled_from([("ada", "a"), ("ada", "b"), ("bob", "a")])


class Life(RuleBasedStateMachine):
    """Holds the queue beside a model of it: what waits, who leased what until when, what has ended."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.queue = Queue(self.url)
        self.runner.run(self._empty())
        self.now = NOW
        self.due: dict[Push, float] = {}
        self.leases: dict[Push, int] = {}
        self.ended: set[Push] = set()

    async def _empty(self) -> None:
        await self.queue.connection.client.execute_command("FLUSHALL")

    @rule(which=KEYS, delay=strategies.integers(0, 50))
    def add(self, which: tuple[str, str], delay: int) -> None:
        one = push(*which, due=NOW)
        added = self.runner.run(self.queue.add(one))
        assert added == (one not in self.due and one not in self.ended)
        if added:
            self.due[one], self.leases[one] = NOW, 0

    @rule(seconds=strategies.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(seconds=strategies.integers(1, 60))
    def lease(self, seconds: int) -> None:
        leased = self.runner.run(self.queue.lease(self.now, seconds))
        assert {one.push for one in leased} == {one for one, due in self.due.items() if due <= self.now}
        for one in leased:
            self.leases[one.push] += 1
            assert one.lease == self.leases[one.push]
            self.due[one.push] = self.now + seconds

    @rule(which=KEYS)
    def acknowledge(self, which: tuple[str, str]) -> None:
        one = push(*which)
        assert self.runner.run(self.queue.sent(one, self.now)) == (one in self.due)
        if self.due.pop(one, None) is not None:
            self.ended.add(one)

    @rule(which=KEYS, stale=strategies.integers(0, 1), delay=strategies.integers(0, 50))
    def give_back(self, which: tuple[str, str], stale: int, delay: int) -> None:
        one = push(*which)
        lease = self.leases.get(one, 1) - stale
        leased = Leased(one, lease, NOW)
        if lease < 1:
            return
        done = self.runner.run(self.queue.store.put_back(TENANT, leased, self.now + delay, 5))
        assert done == (one in self.due and not stale)
        if done:
            self.due[one] = self.now + delay

    @invariant()
    def as_many_wait_as_should(self) -> None:
        listed, count = self.runner.run(self.queue.store.waiting(TENANT, 10, 5))
        assert count == len(self.due)
        assert {one.push: one.due_time for one in listed} == self.due

    def teardown(self) -> None:
        self.runner.run(self.queue.connection.aclose())
        self.runner.close()


def test_every_push_has_one_life_whatever_the_order(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        Life.url = server.url
        Life.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
        Life.TestCase().runTest()
