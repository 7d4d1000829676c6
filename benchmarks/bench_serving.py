"""Calls per second and latency of the whole RecommendOffers against the engine's own bare echo, in one run.

The echo is what grpcio can do at best here: the same server library and event loop, a handler that gives the request
back, no message parsed. Both are asked in turns by the same cheap load generator in a process of its own.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil

from benchmarks import grpcio_echo
from benchmarks.load import Load, run_load
from benchmarks.outcome import Outcome
from benchmarks.report import report
from benchmarks.shop import customer_id, published_shop
from dangol.v1.offer_service_pb2 import RecommendOffersRequest
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from service.server import serve
from service.settings import read_settings

PATH = "/dangol.v1.OfferService/RecommendOffers"
FLOOR, GOAL = 0.45, 0.6
_START_PATIENCE = 60.0
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Server:
    """Says where a server under measurement is."""

    address: str
    metrics_address: str
    process_id: int


@dataclass(slots=True)
class Measured:
    """Holds the rounds of one server. ``cpu`` is seconds of the server's processor time per call."""

    full: list[Outcome] = field(default_factory=list)
    paced: list[Outcome] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Give the calls per second of the round in the middle."""
        return statistics.median(outcome.rate for outcome in self.full)

    def percentile(self, share: float) -> float:
        """Give the latency at half of the load, in milliseconds, of the round in the middle."""
        return statistics.median(outcome.percentile(share) for outcome in self.paced) * 1000


def main() -> None:
    """Publish a shop, start both servers, and ask them in turns."""
    options = _options()
    with (
        published_shop(options.customers, options.items, options.offers) as shop,
        _started(_serve, shop.directory / "whole", shop.redis.url) as whole,
        _started(grpcio_echo.run, shop.directory / "echo") as echo,
    ):
        _check(whole.address)
        _compare(whole, echo, options)


def _compare(whole: Server, echo: Server, options: argparse.Namespace) -> None:
    randomness = random.Random(7)
    names = [customer_id(randomness.randrange(options.customers)) for _ in range(5000)]
    requests = [RecommendOffersRequest(customer_id=name, placements=["default"]).SerializeToString() for name in names]
    ours, bare = Measured(), Measured()
    for _ in range(options.rounds):
        for measured, server in ((bare, echo), (ours, whole)):
            _measure_full(measured, server, requests, options)
    half = ours.rate * _HALF
    for _ in range(options.rounds):
        for measured, server in ((bare, echo), (ours, whole)):
            measured.paced.append(run_load(Load(server.address, PATH, requests, options.seconds, rate=half)))
    failures = sum(outcome.failures for outcome in (*ours.full, *ours.paced))
    _report(ours, bare, half)
    report("serving.failed-calls", failures, "calls", floor=0, goal=0)
    calls = sum(outcome.calls for outcome in (*ours.full, *ours.paced))
    report("serving.degraded-share", round(_degraded(whole) / calls, 4), "of all answers", floor=0.01, goal=0)


def _measure_full(measured: Measured, server: Server, requests: Sequence[bytes], options: argparse.Namespace) -> None:
    before = _processor_time(server.process_id)
    outcome = run_load(Load(server.address, PATH, requests, options.seconds, options.concurrency))
    measured.full.append(outcome)
    measured.cpu.append((_processor_time(server.process_id) - before) / outcome.calls)


def _degraded(server: Server) -> float:
    """Ask the server's metrics how many answers came from a fallback."""
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("dangol_degraded_total{"))


def _report(ours: Measured, bare: Measured, half: float) -> None:
    echo = f"bare echo on the same engine: {bare.rate:.0f} calls/s"
    report("serving.calls", round(ours.rate, 1), "calls/s", against=echo, ratio=round(ours.rate / bare.rate, 3),
           floor=FLOOR, goal=GOAL)  # fmt: skip
    processor, echo_processor = statistics.median(ours.cpu) * 1e6, statistics.median(bare.cpu) * 1e6
    report("serving.processor-time", round(processor, 1), "us/call", against=f"bare echo: {echo_processor:.0f} us/call",
           ratio=round(processor / echo_processor, 3))  # fmt: skip
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        value, other = ours.percentile(share), bare.percentile(share)
        echo = f"bare echo at the same {half:.0f} calls/s: {other:.3f} ms"
        report(f"serving.{name}", round(value, 3), "ms", against=echo, ratio=round(value / other, 3))


def _check(address: str) -> None:
    """Make sure that what is measured is a whole answer: ten offers with reasons, nothing degraded."""
    with grpc.insecure_channel(address) as channel:
        request = RecommendOffersRequest(customer_id=customer_id(0), placements=["default"])
        answer = OfferServiceStub(channel).RecommendOffers(request, timeout=10)
    offers = answer.slates[0].offers
    if answer.served.degraded or len(offers) != 10 or not all(offer.reasons and offer.terms for offer in offers):
        msg = f"the server does not give whole answers: {answer}"
        raise RuntimeError(msg)


@contextlib.contextmanager
def _started(run: Callable[..., None], directory: Path, *arguments: str) -> Iterator[Server]:
    """Run a server in a process of its own and say where it is."""
    directory.mkdir()
    process = multiprocessing.get_context("spawn").Process(target=run, args=(str(directory), *arguments))
    process.start()
    ready = directory / "ready.json"
    deadline = time.monotonic() + _START_PATIENCE
    while not ready.exists():
        if process.exitcode is not None or time.monotonic() > deadline:
            msg = f"a server did not start; see {directory}"
            raise RuntimeError(msg)
        time.sleep(0.01)
    try:
        told = json.loads(ready.read_text())
        yield Server(told["address"], told.get("metrics_address", ""), process.pid or 0)
    finally:
        process.terminate()
        process.join(30)


def _serve(directory: str, redis_url: str) -> None:
    home = Path(directory)
    os.dup2(os.open(home / "server.log", os.O_WRONLY | os.O_CREAT), 2)
    serve(
        read_settings(
            home=home,
            listen="127.0.0.1:0",
            engine="grpcio",
            redis_url=redis_url,
            ready_file=home / "ready.json",
            drain_delay=0.0,
        )
    )


def _processor_time(process_id: int) -> float:
    times = psutil.Process(process_id).cpu_times()
    return times.user + times.system


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--offers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each round")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--concurrency", type=int, default=32)
    return parser.parse_args()


if __name__ == "__main__":
    main()
