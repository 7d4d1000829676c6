"""How the duration of a call grows with the shop, what a large shop takes in memory, and how soon a server serves it.

Three shops, each with a Redis and a ``dangol serve`` of its own, are asked in turns at one rate: a small one, one of
many more customers, and one of many more items and offers. Both engines answer from the same shops, one after another.
"""

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.harness.dangol_process import ServerProcess
from benchmarks.load import Load, run_load
from benchmarks.outcome import Outcome
from benchmarks.report import report
from benchmarks.shop import customer_id, publish_shop
from dangol.v1.offer_service_pb2 import RecommendOffersRequest
from service.store.embedded import EmbeddedRedis

PATH = "/dangol.v1.OfferService/RecommendOffers"
_START_PATIENCE = 60.0
_SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass(frozen=True, slots=True)
class Shop:
    """Is one shop that is published, and what is asked of it."""

    redis: EmbeddedRedis
    requests: list[bytes]
    size: str


@dataclass(slots=True)
class Served:
    """Is a shop that is served, and what came of asking."""

    shop: Shop
    server: ServerProcess
    outcomes: list[Outcome] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Give the latency of the round in the middle, in milliseconds."""
        return statistics.median(outcome.percentile(share) for outcome in self.outcomes) * 1000


def main() -> None:
    """Publish the shops and measure each engine on them."""
    options = _options()
    sizes = {
        "small": (options.customers, options.items, options.offers),
        "customers": (options.many_customers, options.items, options.offers),
        "items": (options.customers, options.many_items, options.many_offers),
    }
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as temporary, contextlib.ExitStack() as stack:
        shops = {name: stack.enter_context(_published(Path(temporary) / name, *size)) for name, size in sizes.items()}
        for engine in options.engines:
            directory = Path(temporary) / engine
            directory.mkdir()
            _measure(directory, engine, shops, options)


def _measure(directory: Path, engine: str, shops: Mapping[str, Shop], options: argparse.Namespace) -> None:
    with contextlib.ExitStack() as stack:
        served = {}
        for name, shop in shops.items():
            server = stack.enter_context(ServerProcess(directory, name, shop.redis.url, {"engine": engine}))
            _wait_until_serving(server.address)
            served[name] = Served(shop, server)
        for _ in range(options.rounds):
            for one in served.values():
                load = Load(one.server.address, PATH, one.shop.requests, options.seconds, rate=options.rate)
                one.outcomes.append(run_load(load))
        _report_durations(served, engine, options.rate)
        _report_memory(served["items"], engine)
    large = shops["items"]
    wall, processor = _start(directory, large.redis.url, engine, options.starts)
    report(f"growth.{engine}.start", round(wall, 2), f"s until SERVING, {large.size}, {engine}", floor=3, goal=2)
    report(f"growth.{engine}.start-processor-time", round(processor, 2), "s of the processor until then")


def _report_durations(served: Mapping[str, Served], engine: str, rate: float) -> None:
    small = served["small"].percentile(0.5)
    for name, one in served.items():
        p50, scene = one.percentile(0.5), f"ms, {one.shop.size}, {engine} at {rate:.0f} calls/s"
        if name == "small":
            report(f"growth.{engine}.{name}.p50", round(p50, 3), scene)
        else:
            report(f"growth.{engine}.{name}.p50", round(p50, 3), scene, against=f"the small shop: {small:.3f} ms",
                   ratio=round(p50 / small, 3), floor=1.2, goal=1.1)  # fmt: skip
    failures = sum(outcome.failures for one in served.values() for outcome in one.outcomes)
    report(f"growth.{engine}.failed-calls", failures, "calls", floor=0, goal=0)


@contextlib.contextmanager
def _published(directory: Path, customers: int, items: int, offers: int) -> Iterator[Shop]:
    with EmbeddedRedis(directory / "redis") as redis:
        publish_shop(redis.url, directory, customers, items, offers)
        randomness = random.Random(7)
        names = [customer_id(randomness.randrange(customers)) for _ in range(5_000)]
        requests = [
            RecommendOffersRequest(customer_id=name, placements=["default"]).SerializeToString() for name in names
        ]
        yield Shop(redis, requests, f"{customers} customers, {items} items, {offers} offers")


def _report_memory(served: Served, engine: str) -> None:
    """State the resident memory of each process; pages of libraries that processes share count in each."""
    *above, answering = [round(process.memory_info().rss / 1e6) for process in served.server.processes]
    scene = f"{served.shop.size}, {engine}"
    report(f"growth.{engine}.memory", answering, f"MB of the process that answers, {scene}", floor=250, goal=200)
    for megabytes in above:
        report(f"growth.{engine}.memory-above", megabytes, "MB of the process that watches over it", floor=250, goal=50)


def _start(directory: Path, redis_url: str, engine: str, starts: int) -> tuple[float, float]:
    """Give the seconds from the command to the answer that all is well, and those of the processor; both medians."""
    seconds, spent = [], []
    for number in range(starts):
        begin = time.perf_counter()
        with ServerProcess(directory, f"start-{number}", redis_url, {"engine": engine}) as server:
            _wait_until_serving(server.address)
            seconds.append(time.perf_counter() - begin)
            spent.append(sum(sum(process.cpu_times()[:2]) for process in server.processes))
            server.terminate()
            server.wait()
    return statistics.median(seconds), statistics.median(spent)


def _wait_until_serving(address: str) -> None:
    deadline = time.monotonic() + _START_PATIENCE
    with grpc.insecure_channel(address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        while check(health_pb2.HealthCheckRequest(), timeout=_START_PATIENCE).status != _SERVING:
            if time.monotonic() > deadline:
                raise RuntimeError("the server does not begin to serve")
            time.sleep(0.01)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="+", choices=("grpcio", "envoy"), default=("grpcio", "envoy"))
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=1_000)
    parser.add_argument("--offers", type=int, default=1_000)
    parser.add_argument("--many-customers", type=int, default=1_000_000)
    parser.add_argument("--many-items", type=int, default=100_000)
    parser.add_argument("--many-offers", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=500.0, help="calls per second")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--starts", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
