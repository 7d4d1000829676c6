"""How long RecommendOffers takes at fixed rates up to the maximum, on both engines, and while the shop is turned over.

Calls begin on time whether or not earlier ones are answered, and latency counts from the moment at which a call should
have begun: a server that pauses is charged for everybody who would have come meanwhile. The engine's bare echo is asked
at the same rates in turns: what it takes is the share of the load generator, the kernel and the engine.
"""

import argparse
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import envoy_echo, grpcio_echo
from benchmarks.envoy_echo import PATH
from benchmarks.harness.servers import Server, running, running_server
from benchmarks.harness.turnover import Turnover, turnover
from benchmarks.histogram import Histogram
from benchmarks.latency_page import ECHO, ENGINES, HALF, PERCENTS, TURNOVER, WHOLE, LatencyCurve
from benchmarks.load import Load, run_load
from benchmarks.outcome import Outcome
from benchmarks.performance import keep
from benchmarks.report import report
from benchmarks.shop import customer_id, published_shop
from dangol.v1.offer_service_pb2 import RecommendOffersRequest

_ECHOES = {"grpcio": grpcio_echo.run, "envoy": envoy_echo.run}
_BOUNDS = {("envoy", "p99"): (10.0, 5.0), ("envoy", "p99.9"): (30.0, 15.0)}
_PATIENCE = 10.0
_AT_ONCE = 32
_LEAD = 1.5  # seconds in which the load has surely begun


@dataclass(frozen=True, slots=True)
class Question:
    """Says what is asked in each of the ``rounds``, for so many ``seconds``."""

    requests: Sequence[bytes]
    seconds: float
    rounds: int
    connections: int

    def maximum(self, server: Server) -> float:
        """Give the calls per second of the round in the middle, each answer followed by the next call."""
        load = Load(server.address, PATH, self.requests, self.seconds, _AT_ONCE, connections=self.connections)
        return statistics.median(run_load(load).rate for _ in range(self.rounds))

    def ask(self, servers: Sequence[Server], rate: float) -> list[list[Outcome]]:
        """Ask servers at a rate, in turns, and give the rounds of each."""
        rounds = [[run_load(self._at(server, rate)) for server in servers] for _ in range(self.rounds)]
        return [list(outcomes) for outcomes in zip(*rounds, strict=True)]

    def ask_meanwhile(self, server: Server, rate: float, shop: Turnover) -> tuple[list[Outcome], float]:
        """Ask a server while the shop is turned over, once in each round; give also the most seconds that took."""
        outcomes, seconds = [], []
        for _ in range(self.rounds):
            shop.begin(_LEAD)
            outcomes.append(run_load(self._at(server, rate)))
            seconds.append(shop.end())
        return outcomes, max(seconds)

    def _at(self, server: Server, rate: float) -> Load:
        return Load(server.address, PATH, self.requests, self.seconds, rate=rate, connections=self.connections,
                    patience=_PATIENCE)  # fmt: skip


def main() -> None:
    """Publish a shop and measure each engine beside its echo."""
    options = _options()
    sizes = {name: getattr(options, name) for name in ("customers", "items", "offers", "connections")}
    scene = {**sizes, "rounds": options.rounds, "seconds": options.seconds}
    with published_shop(options.customers, options.items, options.offers) as shop:
        curves = [curve for engine in ENGINES for curve in _curves(engine, shop.directory, shop.redis.url, options)]
    for curve in curves:
        _report(curve)
    failures = sum(curve.failures for curve in curves if curve.percent == HALF)
    report("latency.failed-calls", failures, "calls at half of the maximum", floor=0, goal=0)
    keep("latency", {"scene": scene, "curves": [asdict(curve) for curve in curves]})


def _curves(engine: str, directory: Path, redis_url: str, options: argparse.Namespace) -> Iterator[LatencyCurve]:
    """Measure an engine at parts of its maximum beside its echo, then at half of it while the shop is turned over."""
    question = Question(requests_of(options.customers), options.seconds, options.rounds, options.connections)
    with (
        running_server(directory / engine, redis_url, engine=engine) as whole,
        running(_ECHOES[engine], directory / f"{engine}-echo") as echo,
    ):
        maximum = question.maximum(whole)
        report(f"latency.{engine}.maximum", round(maximum), f"calls/s, {_AT_ONCE} at once")
        for percent in PERCENTS:
            rate = maximum * percent / 100
            for kind, outcomes in zip((WHOLE, ECHO), question.ask((whole, echo), rate), strict=True):
                yield _curve(engine, kind, percent, rate, outcomes)
        with turnover(directory / "models", redis_url, options.items, options.offers) as shop:
            outcomes, seconds = question.ask_meanwhile(whole, maximum / 2, shop)
        scene = f"s to publish a generation and to replace {options.items:,} items at {maximum / 2:.0f} calls/s"
        report(f"latency.{engine}.turnover.seconds", round(seconds, 2), scene)
        yield _curve(engine, TURNOVER, HALF, maximum / 2, outcomes)


def _curve(engine: str, kind: str, percent: int, rate: float, outcomes: Sequence[Outcome]) -> LatencyCurve:
    counted = sum((outcome.histogram for outcome in outcomes), Histogram())
    asking = statistics.median(outcome.cost for outcome in outcomes) * 1e6
    failures = sum(outcome.failures for outcome in outcomes)
    return LatencyCurve(engine, kind, percent, round(rate), failures, round(asking, 1), counted.stored())


def _report(curve: LatencyCurve) -> None:
    """Report what is promised: p99 and p99.9 at half of the maximum, at rest and while the shop is turned over."""
    if curve.kind == ECHO or curve.percent != HALF:
        return
    scene = f"ms at {curve.rate} calls/s" + (" while the shop is turned over" if curve.kind == TURNOVER else "")
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        floor, goal = _BOUNDS.get((curve.engine, name), (None, None))
        value = round(curve.latencies.percentile(share) * 1000, 3)
        report(f"latency.{curve.engine}.{curve.kind}.{name}", value, scene, floor=floor, goal=goal)


def requests_of(customers: int) -> list[bytes]:
    """Write requests for customers drawn at random."""
    randomness = random.Random(7)
    names = [customer_id(randomness.randrange(customers)) for _ in range(5_000)]
    return [RecommendOffersRequest(customer_id=name, placements=["default"]).SerializeToString() for name in names]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--offers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
