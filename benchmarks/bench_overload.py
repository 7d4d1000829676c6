"""What a server does with more calls than it can answer: goodput, refusals, and how soon it is well again.

Calls come at multiples of what the server can do, on time whether or not earlier ones are answered (open loop), with a
deadline of 100 ms; an answer counts as good when it came within it, counted from the moment at which the call should
have begun. A heavy question is asked, so that one machine can ask ten times more than is answered; and the server has a
processor of its own, so that what is measured is its behaviour and not who wins the processor.
"""

import argparse
import contextlib
import os
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.servers import Server, running_server
from benchmarks.load import Load, run_load
from benchmarks.outcome import Outcome, percentile
from benchmarks.report import report
from benchmarks.shop import customer_id, published_shop
from dangol.v1.offer_service_pb2 import RecommendOffersRequest

PATH = "/dangol.v1.OfferService/RecommendOffers"
DEADLINE = 0.1
_RECOVERY_BOUND = 10.0
_FIRST_PROCESSOR = min(os.sched_getaffinity(0))


def main() -> None:
    """Publish a shop and overload a server of each engine that is asked for."""
    options = _options()
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {_FIRST_PROCESSOR} or {_FIRST_PROCESSOR})
    with published_shop(5_000, 5_000, 500) as shop:
        for engine in options.engines:
            with _apart(shop.directory / engine, shop.redis.url, engine) as server:
                _measure(engine, server, options)


@contextlib.contextmanager
def _apart(directory: Path, redis_url: str, engine: str) -> Iterator[Server]:
    """Run a server on the first processor; whatever else this process starts, it starts on the others."""
    others = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_FIRST_PROCESSOR})
    with running_server(directory, redis_url, engine=engine) as server:
        os.sched_setaffinity(0, others)
        yield server


def _measure(engine: str, server: Server, options: argparse.Namespace) -> None:
    requests = _requests()
    full = Load(server.address, PATH, requests, options.seconds, options.concurrency, connections=options.connections)
    run_load(full)
    capacity = statistics.median(run_load(full).rate for _ in range(3))
    report(f"overload.{engine}.capacity", round(capacity), f"calls/s, {options.concurrency} at once")
    goods: dict[int, float] = {}
    for multiple in (1, *options.multiples):
        outcome = run_load(_flood(server, requests, capacity * multiple, options))
        goods[multiple] = sum(latency <= DEADLINE for latency in outcome.latencies) / outcome.elapsed
        _report(f"overload.{engine}.{multiple}x", outcome, goods[multiple], goods[1])
    report(f"overload.{engine}.recovery", round(_recovery(server, requests, capacity / 2), 1),
           "s until a second without a refusal at half of the capacity", floor=_RECOVERY_BOUND, goal=2.0)  # fmt: skip


def _flood(server: Server, requests: list[bytes], rate: float, options: argparse.Namespace) -> Load:
    return Load(server.address, PATH, requests, options.seconds, rate=rate, connections=options.connections,
                deadline=DEADLINE)  # fmt: skip


def _report(name: str, outcome: Outcome, good: float, calm: float) -> None:
    report(f"{name}.goodput", round(good), "good calls/s", against=f"goodput at 1x: {calm:.0f} calls/s",
           ratio=round(good / calm, 3), floor=0.5, goal=0.9)  # fmt: skip
    refusals = [latency for latency in outcome.refusals if latency < DEADLINE]
    refused = len(refusals)
    against = f"{outcome.calls} answered, {refused} refused, {outcome.failures - refused} past their deadline"
    report(f"{name}.p99", round(outcome.percentile(0.99) * 1000, 1), "ms of answered calls", against=against)
    if refused:
        report(f"{name}.refusal", round(percentile(refusals, 0.5) * 1000, 1), "ms, median")
    processor = outcome.processor / (outcome.calls + outcome.failures) * 1e6
    report(f"{name}.asking", round(processor, 1), "us of the load generator's processor per call")


def _recovery(server: Server, requests: list[bytes], rate: float) -> float:
    """Give the seconds until a whole second passes without a refusal."""
    begin = time.monotonic()
    while time.monotonic() - begin < 2 * _RECOVERY_BOUND:
        second = time.monotonic()
        outcome = run_load(Load(server.address, PATH, requests, 1.0, rate=rate, deadline=DEADLINE))
        if not outcome.failures:
            return second - begin
    return time.monotonic() - begin


def _requests() -> list[bytes]:
    """Write requests that take about five times as long as one for a page's ten offers."""
    randomness = random.Random(7)
    names = [customer_id(randomness.randrange(5_000)) for _ in range(2_000)]
    requests = [
        RecommendOffersRequest(customer_id=name, placements=["default"], page_size=20, explain=True) for name in names
    ]
    return [request.SerializeToString() for request in requests]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="+", choices=("grpcio", "envoy"), default=["grpcio", "envoy"])
    parser.add_argument("--multiples", nargs="+", type=int, default=[2, 4, 10], help="of the capacity")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--connections", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
