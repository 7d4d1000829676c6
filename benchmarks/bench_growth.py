"""How the duration of a call grows with the shop, what a large shop takes in memory, and how soon a server serves it.

Three shops, each with a Redis and a server of its own, are asked in turns at one rate: a small one, one of many more
customers, and one of many more items and offers.
"""

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.harness.dangol_process import ServerProcess
from benchmarks.harness.servers import Server, running_server
from benchmarks.load import Load, run_load
from benchmarks.outcome import Outcome
from benchmarks.report import report
from benchmarks.shop import customer_id, publish_shop
from dangol.v1.offer_service_pb2 import RecommendOffersRequest
from service.store.embedded import EmbeddedRedis

PATH = "/dangol.v1.OfferService/RecommendOffers"
_START_PATIENCE = 60.0
_SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass(slots=True)
class Shop:
    """Is one shop that is served, and what came of asking."""

    redis: EmbeddedRedis
    server: Server
    requests: list[bytes]
    outcomes: list[Outcome] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Give the latency of the round in the middle, in milliseconds."""
        return statistics.median(outcome.percentile(share) for outcome in self.outcomes) * 1000


def main() -> None:
    """Publish the shops and ask them in turns."""
    options = _options()
    sizes = {
        "small": (options.customers, options.items, options.offers),
        "customers": (options.many_customers, options.items, options.offers),
        "items": (options.customers, options.many_items, options.many_offers),
    }
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as temporary, contextlib.ExitStack() as stack:
        shops = {
            name: stack.enter_context(_served(Path(temporary) / name, options.engine, *size))
            for name, size in sizes.items()
        }
        for _ in range(options.rounds):
            for shop in shops.values():
                load = Load(shop.server.address, PATH, shop.requests, options.seconds, rate=options.rate)
                shop.outcomes.append(run_load(load))
        _report(shops, sizes, options)
        large = shops["items"]
        scene = f"{options.many_items} items and {options.many_offers} offers, {options.engine}"
        report("growth.memory", round(large.server.memory() / 1e6), f"MB, {scene}", floor=250, goal=200)
        seconds = _start(Path(temporary), large.redis.url, options)
        report("growth.start", round(seconds, 2), f"s until SERVING, {scene}", floor=3, goal=2)


def _report(shops: dict[str, Shop], sizes: dict[str, tuple[int, int, int]], options: argparse.Namespace) -> None:
    small = shops["small"].percentile(0.5)
    for name, shop in shops.items():
        customers, items, offers = sizes[name]
        scene = f"ms of {customers} customers, {items} items, {offers} offers at {options.rate:.0f} calls/s"
        p50 = shop.percentile(0.5)
        if shop is shops["small"]:
            report(f"growth.{name}.p50", round(p50, 3), scene)
        else:
            report(f"growth.{name}.p50", round(p50, 3), scene, against=f"the small shop: {small:.3f} ms",
                   ratio=round(p50 / small, 3), floor=1.2, goal=1.1)  # fmt: skip
    failures = sum(outcome.failures for shop in shops.values() for outcome in shop.outcomes)
    report("growth.failed-calls", failures, "calls", floor=0, goal=0)


@contextlib.contextmanager
def _served(directory: Path, engine: str, customers: int, items: int, offers: int) -> Iterator[Shop]:
    with EmbeddedRedis(directory / "redis") as redis:
        publish_shop(redis.url, directory, customers, items, offers)
        randomness = random.Random(7)
        names = [customer_id(randomness.randrange(customers)) for _ in range(5_000)]
        requests = [
            RecommendOffersRequest(customer_id=name, placements=["default"]).SerializeToString() for name in names
        ]
        with running_server(directory / "server", redis.url, engine=engine) as server:
            yield Shop(redis, server, requests)


def _start(directory: Path, redis_url: str, options: argparse.Namespace) -> float:
    """Give the seconds from the command to the answer that all is well, of the start in the middle of some."""
    seconds = []
    for number in range(options.starts):
        begin = time.perf_counter()
        with ServerProcess(directory, f"start-{number}", redis_url, {"engine": options.engine}) as server:
            _wait_until_serving(server.address)
            seconds.append(time.perf_counter() - begin)
            server.terminate()
            server.wait()
    return statistics.median(seconds)


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
    parser.add_argument("--engine", choices=("grpcio", "envoy"), default="grpcio")
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
