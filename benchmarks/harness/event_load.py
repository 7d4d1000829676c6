"""A process that records events at a steady rate, and looks when the answer has followed."""

import asyncio
import contextlib
import itertools
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from benchmarks.harness.live_shop import TASTES, customer_id, item_id, taste_of
from dangol.client import AsyncClient, ClientError
from dangol.v1.event_pb2 import Event

_BATCH = 10
_LOOK = 0.004  # seconds between two looks whether an answer has changed
_GIVE_UP = 10.0
_PLACEMENT = "default"


@dataclass(frozen=True, slots=True)
class EventLoad:
    """Says how many events and looks a second; the numbers of the customers of both do not meet.

    ``look`` customers begin at ``watched``: each of them is looked at once.
    """

    address: str
    rate: float
    looks: float
    customers: int
    prefix: str


@dataclass(slots=True)
class EventOutcome:
    """Holds the seconds from acknowledgement to changed answer, and counts events, calls that failed and lost looks."""

    delays: list[float] = field(default_factory=list)
    events: int = 0
    failed: int = 0
    unchanged: int = 0


@contextlib.contextmanager
def event_load(load: EventLoad) -> Iterator["RunningEventLoad"]:
    """Run the load as long as the context."""
    ours, theirs = multiprocessing.Pipe()
    # Spawned: a process that has used gRPC must not fork.
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(load, theirs), daemon=True)
    process.start()
    try:
        assert ours.recv() == "running"
        yield RunningEventLoad(ours)
    finally:
        process.kill()
        process.join()


class RunningEventLoad:
    """Is the load, as seen by who started it."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection

    def stop(self) -> EventOutcome:
        """End it when its calls have ended, and tell what came of them."""
        self._connection.send("stop")
        outcome: EventOutcome = self._connection.recv()
        return outcome


def _run(load: EventLoad, connection: "Connection[Any, Any]") -> None:
    uvloop.run(_load(load, connection))


async def _load(load: EventLoad, connection: "Connection[Any, Any]") -> None:
    outcome = EventOutcome()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with AsyncClient(load.address, timeout=5.0, write_timeout=5.0) as client, asyncio.TaskGroup() as tasks:
        connection.send("running")
        loop.add_reader(connection.fileno(), stopping.set)
        if load.rate:
            tasks.create_task(_steadily(load.rate / _BATCH, stopping, lambda n: _record(client, load, n, outcome)))
        if load.looks:
            tasks.create_task(_steadily(load.looks, stopping, lambda n: _look(client, load, n, outcome)))
    connection.recv()
    connection.send(outcome)


async def _steadily(rate: float, stopping: asyncio.Event, begin: Any) -> None:  # noqa: ANN401 - gives a coroutine
    """Begin something so often a second, whether what was begun has ended or not."""
    start = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in itertools.count():
            wait = start + number / rate - time.monotonic()
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), wait)
            if stopping.is_set():
                return
            tasks.create_task(begin(number))


async def _record(client: AsyncClient, load: EventLoad, number: int, outcome: EventOutcome) -> None:
    """Let some customers view something; no customer twice within a round over half of all."""
    half = load.customers // 2
    events = [
        _view(f"{load.prefix}-{number}-{place}", (number * _BATCH + place) % half, (7 * number + place) % 5_000)
        for place in range(_BATCH)
    ]
    try:
        await client.record_events(events)
    except ClientError:
        outcome.failed += 1
    else:
        outcome.events += len(events)


async def _look(client: AsyncClient, load: EventLoad, number: int, outcome: EventOutcome) -> None:
    """Let a customer view something of another taste, and ask until they are offered that taste."""
    watched = load.customers // 2 + number % (load.customers // 2)
    wanted = (watched + 1 + number % (TASTES - 1)) % TASTES
    try:
        await client.record_events([_view(f"{load.prefix}-look-{number}", watched, wanted + 2 * TASTES)])
        acknowledged = time.monotonic()
        while time.monotonic() < acknowledged + _GIVE_UP:
            answer = await client.recommend_offers(customer_id(watched), _PLACEMENT)
            if any(taste_of(offer.item_id) == wanted for offer in answer.slates[0].offers):
                outcome.delays.append(time.monotonic() - acknowledged)
                return
            await asyncio.sleep(_LOOK)
    except ClientError:
        outcome.failed += 1
        return
    outcome.unchanged += 1


def _view(event_id: str, number: int, row: int) -> Event:
    event = Event(event_id=event_id, customer_id=customer_id(number), event_type="view", item_id=item_id(row))
    event.event_time.FromDatetime(datetime.now(UTC))
    return event
