"""A simulated week of a shop that pushes: the real queue, workers and handlers on a real Redis, by a clock of its own.

Workers see entries twice now and then, as after a crash. Two push systems lease in turn; some of what they get they
lose, give back or refuse. What they send goes to phones, which show one push id once.
"""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry

from benchmarks.harness.live_shop import write_model
from benchmarks.harness.push_oracle import Oracle
from benchmarks.harness.push_script import DAY, DAYS, ITEMS, Act, Erased, Linked, Said, script
from dangol.v1 import push_service_pb2 as messages
from models.catalog import CatalogChange
from models.customers import Consent, ConsentStatus, CustomerRecord
from models.erasures import Erasure, erased_id
from models.events import Event
from models.progress import SilentProgress
from models.registry import Registry
from service.handlers.caller import Caller, Context
from service.handlers.caps import Caps
from service.handlers.customer_reads import CustomerReads, ReadSettings
from service.handlers.push_handlers import PushHandlers
from service.handlers.push_judge import PushJudge
from service.handlers.reservations import Reservations
from service.handlers.snapshots import Snapshots, SnapshotSettings
from service.handlers.telemetry import Telemetry
from service.live.measures import Measures
from service.live.raiser import Raiser
from service.publisher import publish
from service.store.catalog_follower import CatalogFollower
from service.store.catalog_store import apply_blocking
from service.store.connection import RedisSettings, SyncConnection, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.event_log import append_blocking
from service.store.generation_store import GenerationStore
from service.store.push_raising import PushRaising
from service.store.store import Store

TENANT = "local"
WALK_SECONDS = 4 * 3_600.0
_CALLER = Caller("local", TENANT)
_TIMEOUT = 60.0


@dataclass(slots=True)
class Clock:
    """Is the time of the simulation, seconds since 1970."""

    time: float

    def __call__(self) -> float:
        """Give the time."""
        return self.time


@dataclass(slots=True)
class Shop:
    """Is the shop at work: what servers and workers hold."""

    clock: Clock
    connection: SyncConnection
    store: Store
    snapshots: Snapshots
    handlers: PushHandlers
    raiser: Raiser


@dataclass(frozen=True, slots=True)
class Outcome:
    """Tells what came of the week; ``repeats`` counts what was sent again and phones did not show again."""

    oracle: Oracle
    events: int
    repeats: int


def simulate(directory: Path, customers: int, start: float, *, step: float, seed: int = 1) -> Outcome:
    """Live through a week from ``start`` on, step by step of so many seconds."""
    registry = Registry(directory / "models")
    write_model(registry, ITEMS, customers)
    with EmbeddedRedis(directory / "redis") as redis, connect_blocking(_patient(redis.url)) as one:
        publish(registry, None, GenerationStore(one), TENANT, SilentProgress())
        return asyncio.run(_live(redis.url, one, script(customers, start, seed), start, step, seed))


async def _live(
    url: str, connection: SyncConnection, acts: list[tuple[float, Act]], start: float, step: float, seed: int
) -> Outcome:
    async with AsyncExitStack() as stack:
        shop = await _shop(stack, url, connection, Clock(start))
        oracle, week = Oracle(), _Week(shop, random.Random(seed))
        place, now = 0, start
        while now < start + DAYS * DAY:
            shop.clock.time = now
            begin = place
            while place < len(acts) and acts[place][0] <= now:
                place += 1
            happened = [act for _, act in acts[begin:place]]
            for act in happened:
                oracle.take(act)
            await week.happen(happened)
            await week.send(oracle, step)
            now += step
        return Outcome(oracle, week.events, week.repeats)


class _Week:
    """Does, step by step, what happens."""

    def __init__(self, shop: Shop, chance: random.Random) -> None:
        self.events = 0
        self.repeats = 0
        self._shop = shop
        self._chance = chance
        self._phones: set[str] = set()

    async def happen(self, acts: list[Act]) -> None:
        """Let things happen, then let workers see to them."""
        events: list[Event] = []
        for act in acts:
            if isinstance(act, Event):
                events.append(act)
            elif isinstance(act, CatalogChange):
                apply_blocking(self._shop.connection, TENANT, act)
            else:
                self._record(events)
                await self._tell(act)
        self._record(events)
        await self._shop.snapshots.refresh()
        while self._shop.raiser.step():
            pass

    def _record(self, events: list[Event]) -> None:
        """Record events and consider who did them, now and then twice; the list is empty afterwards."""
        for start in range(0, len(events), 500):
            batch = events[start : start + 500]
            append_blocking(self._shop.connection, TENANT, batch)
            names = list(dict.fromkeys(event.customer_id for event in batch))
            for _ in range(2 if self._chance.random() < 0.1 else 1):
                self._shop.raiser.consider(names)
        self.events += len(events)
        events.clear()

    async def _tell(self, act: Act) -> None:
        store = self._shop.store
        match act:
            case Said(customer_id, granted, time_zone):
                said = ConsentStatus.GRANTED if granted else ConsentStatus.WITHDRAWN
                time = datetime.fromtimestamp(self._shop.clock.time, UTC)
                consent = Consent("marketing", "push", said, time)
                record = CustomerRecord(customer_id, time_zone, consents=(consent,), update_time=time)
                await store.records.store(TENANT, [record], _TIMEOUT)
            case Linked(customer_id, alias_id):
                await store.links.link(TENANT, customer_id, [alias_id], _TIMEOUT)
            case Erased(customer_id):
                names = await store.links.joined(TENANT, customer_id, _TIMEOUT)
                erasure = Erasure(customer_id, datetime.now(UTC), tuple(map(erased_id, names)))
                await store.erasures.begin(TENANT, erasure, names, _TIMEOUT)

    async def send(self, oracle: Oracle, step: float) -> None:
        """Let a push system send what is due; leases end before the next step, or after it."""
        seconds = int(step) if self._chance.random() < 0.7 else int(step) + 60
        request = messages.LeasePushesRequest(page_size=200, visibility=Duration(seconds=min(seconds, 3_600)))
        while True:
            leased = (await self._shop.handlers.lease_pushes(_CALLER, request, Context())).pushes
            if not leased:
                return
            told = [one for push in leased if (one := self._sent(oracle, push, step)) is not None]
            if told:
                given = messages.AcknowledgePushesRequest(acknowledgements=told)
                await self._shop.handlers.acknowledge_pushes(_CALLER, given, Context())

    def _sent(self, oracle: Oracle, push: messages.LeasedPush, step: float) -> messages.PushAcknowledgement | None:
        """Send a push or not, as chance will have it, and give what is told of it."""
        chance = self._chance.random()
        if chance < 0.03:
            return None  # the push system dies before it sends
        if chance < 0.05:
            return messages.PushAcknowledgement(
                push_id=push.push_id, lease=push.lease, outcome=messages.PUSH_OUTCOME_REFUSED
            )
        if push.push_id in self._phones:
            self.repeats += 1
        else:
            self._phones.add(push.push_id)
            now, end = self._shop.clock.time, push.lease_end_time.ToNanoseconds() / 1e9
            oracle.send(push, self._chance.uniform(now, min(end, now + step)))
        if chance < 0.08:
            return None  # the push system dies before it tells
        return messages.PushAcknowledgement(push_id=push.push_id, outcome=messages.PUSH_OUTCOME_SENT)


async def _shop(stack: AsyncExitStack, url: str, connection: SyncConnection, clock: Clock) -> Shop:
    store = Store.open(_patient(url))
    stack.push_async_callback(store.aclose)
    await store.records.begin(TENANT, _TIMEOUT)
    executor = stack.enter_context(ThreadPoolExecutor(1))
    telemetry = Telemetry(CollectorRegistry(), b"", log_calls=False)
    snapshots = Snapshots(store.models, store.catalog, executor, SnapshotSettings(TENANT, 1.0))
    reads = CustomerReads(store.customers, store.health, telemetry, ReadSettings(_TIMEOUT, 1.0, _TIMEOUT))
    reservations = Reservations(store.budgets, store.links, snapshots, _TIMEOUT, _TIMEOUT)
    caps = Caps(store.caps, snapshots, TENANT, _TIMEOUT, clock)
    await snapshots.refresh()
    await caps.refresh()
    judge = PushJudge(store.pushes, reservations, caps, _TIMEOUT, clock)
    handlers = PushHandlers(store.pushes, judge, snapshots, reads, telemetry, _TIMEOUT, clock)
    pushes, catalogs = PushRaising(connection, TENANT), CatalogFollower(connection, TENANT)
    raiser = Raiser(pushes, catalogs, Measures(CollectorRegistry()), "one", WALK_SECONDS, clock)
    return Shop(clock, connection, store, snapshots, handlers, raiser)


def _patient(url: str) -> RedisSettings:
    return RedisSettings(url, connect_timeout=10.0, command_timeout=_TIMEOUT, read_timeout=_TIMEOUT)
