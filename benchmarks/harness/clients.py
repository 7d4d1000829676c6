"""Clients that call without pause and write down what came of every call, in a process of their own."""

import asyncio
import contextlib
import itertools
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import grpc
import grpc.aio
import uvloop

from benchmarks.harness.control import ECHO
from benchmarks.harness.shop import PLACEMENT, SLATE, Shop, customer_id
from dangol.client import AsyncClient, ClientError
from dangol.v1.event_pb2 import Event
from dangol.v1.offer_service_pb2 import Served

RECOMMEND, BATCH, EVENTS, CONTROL = "recommend", "batch", "events", "control"
_READS = (RECOMMEND, BATCH)
_EVENTS_AT_ONCE = 5
_PATIENCE = 60.0
_PAUSES = (
    0.05,
    0.1,
    0.2,
    0.4,
    0.8,
)  # seconds before a batch of events that was refused is sent again; the last goes on
_MAXIMAL_RECORDING = 20  # batches of events that are sent, or sent again, at a time: no storm that grows on its own
_LATEST = 0.1  # seconds that the clients may be behind before they give up catching up


@dataclass(frozen=True, slots=True)
class Load:
    """Says what is asked of whom, in calls per second; ``deadline`` and ``event_deadline`` are seconds per call.

    ``target`` is any name that gRPC resolves; ``prefix`` begins the ids of the events. ``control`` is the address of a
    bare echo that is asked as often as for offers, with the same deadline.
    """

    target: str
    shop: Shop
    deadline: float
    rate: float = 100.0
    batch_rate: float = 0.0
    batch_size: int = 50
    event_rate: float = 0.0
    event_deadline: float = 1.0
    prefix: str = "event"
    control: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """Is what came of one call. Times are seconds on the monotonic clock, which all processes share.

    ``error`` is empty when it was answered, ``problem`` when there is nothing wrong with the answer; ``server`` names
    the process that answered.
    """

    kind: str
    begun: float
    ended: float
    error: str = ""
    problem: str = ""
    generation: int = 0
    model_version: str = ""
    degraded: bool = False
    fallback: int = 0
    server: str = ""

    @property
    def latency(self) -> float:
        """Give the seconds that the call took."""
        return self.ended - self.begun

    def is_within(self, begin: float, end: float) -> bool:
        """Tell whether the whole call lies between two moments."""
        return begin <= self.begun and self.ended <= end


@dataclass(slots=True)
class Outcome:
    """Is what came of all calls. ``acknowledged`` gives for each event id when the call that stored it had begun."""

    calls: list[Call] = field(default_factory=list)
    acknowledged: dict[str, float] = field(default_factory=dict)
    attempted: set[str] = field(default_factory=set)

    @property
    def reads(self) -> list[Call]:
        """Give the calls that ask for offers, of one customer or many."""
        return [call for call in self.calls if call.kind in _READS]

    @property
    def controls(self) -> list[Call]:
        """Give the calls of the bare echo."""
        return [call for call in self.calls if call.kind == CONTROL]

    @property
    def failed_reads(self) -> list[Call]:
        """Give the reads without an answer."""
        return [call for call in self.reads if call.error]

    @property
    def wrong(self) -> list[Call]:
        """Give the calls whose answer is not what it must be."""
        return [call for call in self.calls if call.problem]

    @property
    def torn_generations(self) -> dict[int, set[str]]:
        """Give the generations that answers named together with more than one model version."""
        versions: dict[int, set[str]] = {}
        for call in self.reads:
            if not call.error:
                versions.setdefault(call.generation, set()).add(call.model_version)
        return {generation: found for generation, found in versions.items() if len(found) > 1}


class RunningClients:
    """Is the clients' process, as seen by who started it."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection
        self._outcome: Outcome | None = None

    def wait_until(self, condition: Callable[[Call], bool]) -> Call:
        """Wait for a RecommendOffers that begins from now on and ends in what is asked for."""
        begin = time.monotonic()
        while time.monotonic() < begin + _PATIENCE:
            self._connection.send("newest")
            call: Call | None = self._connection.recv()
            if call is not None and call.begun >= begin and condition(call):
                return call
            time.sleep(0.01)
        msg = f"it did not come to that within {_PATIENCE:.0f} s; the newest answer is {call}"
        raise RuntimeError(msg)

    def wait_until_whole(self) -> Call:
        """Wait for an answer that is not degraded."""
        return self.wait_until(lambda call: not call.error and not call.degraded)

    def stop(self) -> Outcome:
        """End when all calls have ended, and tell what came of them."""
        if self._outcome is None:
            self._connection.send("stop")
            self._outcome = self._connection.recv()
        return self._outcome


@contextlib.contextmanager
def running_clients(load: Load) -> Iterator[RunningClients]:
    """Run clients as long as the context; they call already when it begins."""
    # Spawned: a process that has used gRPC must not fork.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(load, there))
    process.start()
    there.close()
    try:
        clients = RunningClients(here)
        clients.wait_until(lambda call: not call.error)
        yield clients
    finally:
        with contextlib.suppress(OSError, EOFError):
            clients.stop()
        process.kill()
        process.join()
        here.close()


def _run(load: Load, connection: "Connection[Any, Any]") -> None:
    uvloop.run(_Clients(load, connection).run())


class _Clients:
    def __init__(self, load: Load, connection: "Connection[Any, Any]") -> None:
        self._load = load
        self._connection = connection
        self._outcome = Outcome()
        self._newest: Call | None = None
        self._recording = 0
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Call until told to stop, then wait for what is in flight."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._connection.fileno(), self._told)
        load = self._load
        async with (
            AsyncClient(load.target) as client,
            grpc.aio.insecure_channel(load.control or load.target) as channel,
        ):
            echo: Callable[..., Awaitable[bytes]] = channel.unary_unary(ECHO)
            kinds = (
                (load.rate if load.control else 0.0, lambda _: self._echo(echo)),
                (load.rate, lambda number: self._recommend(client, number)),
                (load.batch_rate, lambda number: self._batch(client, number)),
                (load.event_rate, lambda number: self._record(client, number)),
            )
            await asyncio.gather(*(self._pace(rate, begin) for rate, begin in kinds if rate))
            while self._tasks:
                await asyncio.wait(self._tasks)
        loop.remove_reader(self._connection.fileno())
        # The loop's watching made it non-blocking, and this is more than a pipe takes at once.
        os.set_blocking(self._connection.fileno(), True)
        self._connection.send(self._outcome)

    def _told(self) -> None:
        if self._connection.recv() == "stop":
            self._stopping.set()
        else:
            self._connection.send(self._newest)

    async def _pace(self, rate: float, begin: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        due = time.monotonic()
        for number in itertools.count():
            if self._stopping.is_set():
                return
            task = asyncio.create_task(begin(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            due = max(due + 1 / rate, time.monotonic() - _LATEST)
            await asyncio.sleep(due - time.monotonic())

    async def _echo(self, echo: Callable[..., Awaitable[bytes]]) -> None:
        begun = time.monotonic()
        error = ""
        try:
            await echo(b"x" * 64, timeout=self._load.deadline)
        except grpc.aio.AioRpcError as failure:
            error = failure.code().name
        self._outcome.calls.append(Call(CONTROL, begun, time.monotonic(), error))

    async def _recommend(self, client: AsyncClient, number: int) -> None:
        customer = number % self._load.shop.customers
        begun = time.monotonic()
        try:
            answer = await client.recommend_offers(
                customer_id(customer), PLACEMENT, page_size=SLATE, timeout=self._load.deadline
            )
        except ClientError as error:
            self._failed(RECOMMEND, begun, error)
            return
        ended = time.monotonic()
        problem = self._load.shop.problem_of(customer, answer.slates[0].offers, answer.served)
        self._answered(RECOMMEND, begun, ended, answer.served, problem)

    async def _batch(self, client: AsyncClient, number: int) -> None:
        shop, size = self._load.shop, self._load.batch_size
        customers = [(number * size + place) % shop.customers for place in range(size)]
        begun = time.monotonic()
        try:
            answer = await client.batch_recommend_offers(
                [customer_id(customer) for customer in customers],
                PLACEMENT,
                page_size=SLATE,
                timeout=self._load.deadline,
            )
        except ClientError as error:
            self._failed(BATCH, begun, error)
            return
        ended = time.monotonic()
        problems = (
            shop.problem_of(customer, found.slate.offers, answer.served)
            for customer, found in zip(customers, answer.customer_slates, strict=True)
        )
        self._answered(BATCH, begun, ended, answer.served, next(filter(None, problems), ""))

    async def _record(self, client: AsyncClient, number: int) -> None:
        """Send a batch of events until it is acknowledged, the same ids every time."""
        if self._recording >= _MAXIMAL_RECORDING:
            return
        self._recording += 1
        try:
            await self._record_whole(client, number)
        finally:
            self._recording -= 1

    async def _record_whole(self, client: AsyncClient, number: int) -> None:
        events = [self._event(number * _EVENTS_AT_ONCE + place) for place in range(_EVENTS_AT_ONCE)]
        self._outcome.attempted.update(event.event_id for event in events)
        for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
            begun = time.monotonic()
            try:
                answer = await client.record_events(events, timeout=self._load.event_deadline)
            except ClientError as error:
                self._failed(EVENTS, begun, error)
            else:
                self._outcome.acknowledged.update((event.event_id, begun) for event in events)
                counted = answer.recorded_count + answer.duplicate_count
                problem = "" if counted == len(events) else f"{counted} of {len(events)} events acknowledged"
                self._outcome.calls.append(Call(EVENTS, begun, time.monotonic(), problem=problem))
                return
            if self._stopping.is_set():
                return
            await asyncio.sleep(pause)

    def _event(self, number: int) -> Event:
        # Shoppers are nobody's customers: what they do changes no answer that is checked.
        event = Event(
            event_id=f"{self._load.prefix}-{number}",
            customer_id=f"shopper-{number % 1_000}",
            event_type="view",
            item_id="a-000",
        )
        event.event_time.GetCurrentTime()
        return event

    def _failed(self, kind: str, begun: float, error: ClientError) -> None:
        self._note(Call(kind, begun, time.monotonic(), error=f"{error.code.name}: {error}"))

    def _answered(self, kind: str, begun: float, ended: float, served: Served, problem: str) -> None:
        self._note(
            Call(
                kind,
                begun,
                ended,
                problem=problem,
                generation=served.generation,
                model_version=served.model_version,
                degraded=served.degraded,
                fallback=served.fallback,
                server=served.request_id.rpartition("-")[0],
            )
        )

    def _note(self, call: Call) -> None:
        self._outcome.calls.append(call)
        if call.kind == RECOMMEND:
            self._newest = call
