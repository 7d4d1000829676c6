"""A load generator that costs little: requests are written beforehand, and little is read of what comes back.

It runs in a process of its own, spawned, and says what processor time it took.
"""

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvloop

from benchmarks.caller import Caller
from benchmarks.grpc_caller import GrpcCaller, framed
from benchmarks.http_caller import HttpCaller, Queue, written
from benchmarks.outcome import Outcome

_CONNECT_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """Says what is asked of whom: ``requests`` in turn, ``concurrency`` at once, for ``seconds``.

    With a ``rate`` (calls per second) calls begin on time whether or not earlier ones are answered, and latency counts
    from the moment at which a call should have begun. Calls are spread over ``connections``; what a connection may not
    send yet, by the server's limit of streams or its window, waits here. ``deadline`` (seconds, 0 for none) goes with
    every call; one that waits longer is given up unsent. Calls at a rate that are not answered when the load ends are
    waited for ``patience`` seconds: those answered count with all of their latency, the others as failures; without
    patience neither.

    An empty ``path`` asks by HTTP/1.1: each request is the target of a GET, and a connection carries one call at once.
    """

    address: str
    path: str
    requests: Sequence[bytes]
    seconds: float
    concurrency: int = 32
    rate: float = 0.0
    connections: int = 1
    deadline: float = 0.0
    patience: float = 0.0


def run_load(load: Load) -> Outcome:
    """Run a load in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (load,))


def _run(load: Load) -> Outcome:
    return uvloop.run(_measure(load))


async def _measure(load: Load) -> Outcome:
    outcome = Outcome()
    callers = await _connect(load, outcome)
    start, processor = time.perf_counter(), time.process_time()
    if load.rate:
        begun = await _keep_rate(callers, load, start)
    else:
        for number in range(load.concurrency):
            caller = callers[number % len(callers)]
            caller.repeat = True
            caller.call(time.perf_counter())
        await asyncio.sleep(load.seconds)
    outcome.elapsed = time.perf_counter() - start
    if load.rate and load.patience:
        await _settle(outcome, begun, load.patience)
    for caller in callers:
        caller.stop()
    outcome.processor = time.process_time() - processor
    return outcome


async def _connect(load: Load, outcome: Outcome) -> list[Caller]:
    loop = asyncio.get_running_loop()
    host, _, port = load.address.rpartition(":")
    make, callers = _maker(load, outcome), list[Caller]()
    for _ in range(load.connections):
        _, caller = await loop.create_connection(make, host, int(port))
        async with asyncio.timeout(_CONNECT_PATIENCE):
            await caller.ready.wait()
        callers.append(caller)
    return callers


def _maker(load: Load, outcome: Outcome) -> Callable[[], Caller]:
    """Give what makes a connection of the load."""
    if load.path:
        bodies = itertools.cycle(framed(load.requests))
        return lambda: GrpcCaller(load.path, load.address, load.deadline, bodies, outcome)
    queue, requests = Queue(), itertools.cycle([written(target, load.address) for target in load.requests])
    return lambda: HttpCaller(queue, requests, outcome)


async def _keep_rate(callers: Sequence[Caller], load: Load, start: float) -> int:
    """Begin calls on time, and give how many were begun."""
    begun = 0
    while (now := time.perf_counter()) - start < load.seconds:
        due = int((now - start) * load.rate)
        while begun < due:
            callers[begun % len(callers)].call(start + begun / load.rate)
            begun += 1
        await asyncio.sleep(0.001)
    return begun


async def _settle(outcome: Outcome, begun: int, patience: float) -> None:
    """Wait for the answers to all calls that were begun; those that do not come are failures."""
    end = time.perf_counter() + patience
    while outcome.calls + outcome.failures < begun:
        if time.perf_counter() > end:
            break
        await asyncio.sleep(0.001)
    outcome.failures = begun - outcome.calls
