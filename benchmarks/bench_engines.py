"""The whole RecommendOffers on engine ``envoy`` against grpcio, the engine's bare echo and Redis' own MGET, in one run.

All are asked in turns. Redis is asked for the same two keys of a customer per command: by its own load generator
``redis-benchmark``, from as many connections as the servers are asked by, without pipelining; and, for comparison, 32
commands at once on one connection.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import envoy_echo
from benchmarks.envoy_echo import PATH
from benchmarks.load import Load, run_load
from benchmarks.outcome import Outcome
from benchmarks.redis_reads import ask_from_c, ask_pipelined, find_program, keys_of
from benchmarks.report import report
from benchmarks.shop import customer_id, published_shop
from dangol.v1.offer_service_pb2 import RecommendOffersRequest
from service.server import serve
from service.settings import read_settings
from service.store.embedded import EmbeddedRedis

_START_PATIENCE = 60.0
_HALF = 0.5


@dataclass(slots=True)
class Subject:
    """Is one server under measurement. ``processor`` is seconds of its processor time per call."""

    address: str
    processes: list[psutil.Process]
    full: list[Outcome] = field(default_factory=list)
    paced: list[Outcome] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Give the calls per second of the round in the middle."""
        return statistics.median(outcome.rate for outcome in self.full)

    def percentile(self, share: float) -> float:
        """Give the latency at half of the load, in milliseconds, of the round in the middle."""
        return statistics.median(outcome.percentile(share) for outcome in self.paced) * 1000

    def spent(self) -> float:
        """Give the processor time of all its processes so far, in seconds."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self.processes))


def main() -> None:
    """Publish a shop, start all servers, and ask them in turns."""
    options = _options()
    find_program()
    with contextlib.ExitStack() as stack:
        shop = stack.enter_context(published_shop(options.customers, options.items, options.offers))
        subjects = {
            engine: stack.enter_context(_started(_serve, shop.directory / engine, engine, shop.redis.url))
            for engine in ("grpcio", "envoy")
        }
        subjects["echo"] = stack.enter_context(_started(envoy_echo.run, shop.directory / "echo"))
        _measure(subjects, shop.redis, options)


def _measure(subjects: dict[str, Subject], redis: EmbeddedRedis, options: argparse.Namespace) -> None:
    randomness = random.Random(7)
    names = [customer_id(randomness.randrange(options.customers)) for _ in range(5000)]
    requests = [RecommendOffersRequest(customer_id=name, placements=["default"]).SerializeToString() for name in names]
    keys = keys_of(redis.url, names)
    from_c, pipelined = [], []
    for number in range(options.rounds):
        for subject in subjects.values():
            _ask(subject, requests, options)
        from_c.append(ask_from_c(redis.socket_path, keys[number], options.reads, options.concurrency))
        pipelined.append(ask_pipelined(redis.socket_path, keys, options.seconds))
    ours = subjects["envoy"]
    half = ours.rate * _HALF
    for _ in range(options.rounds):
        ours.paced.append(run_load(Load(ours.address, PATH, requests, options.seconds, rate=half)))
    _report(subjects, statistics.median(from_c), statistics.median(pipelined), half)


def _ask(subject: Subject, requests: Sequence[bytes], options: argparse.Namespace) -> None:
    before = subject.spent()
    outcome = run_load(Load(subject.address, PATH, requests, options.seconds, options.concurrency))
    subject.full.append(outcome)
    subject.processor.append((subject.spent() - before) / outcome.calls)


def _report(subjects: dict[str, Subject], from_c: float, pipelined: float, half: float) -> None:
    ours = subjects["envoy"]
    others = {
        "grpcio": (subjects["grpcio"].rate, "the same on grpcio", 3.0, 4.5),
        "echo": (subjects["echo"].rate, "bare echo on envoy", 0.25, 0.5),
        "mget": (from_c, "MGET of the same keys from C (redis-benchmark)", 0.1, 0.2),
        "pipelined-mget": (pipelined, "the same, 32 at once on one connection", None, None),
    }
    for name, (other, what, floor, goal) in others.items():
        report(f"engines.calls-to-{name}", round(ours.rate, 1), "calls/s", against=f"{what}: {other:.0f} /s",
               ratio=round(ours.rate / other, 3), floor=floor, goal=goal)  # fmt: skip
    for name, subject in subjects.items():
        report(f"engines.processor-time-{name}", round(statistics.median(subject.processor) * 1e6, 1), "us/call")
    for name, share, floor, goal in (("p99", 0.99, 10, 5), ("p99.9", 0.999, 30, 15)):
        report(f"engines.{name}", round(ours.percentile(share), 3), f"ms at {half:.0f} calls/s", floor=floor, goal=goal)
    failures = sum(outcome.failures for subject in subjects.values() for outcome in (*subject.full, *subject.paced))
    report("engines.failed-calls", failures, "calls", floor=0, goal=0)


@contextlib.contextmanager
def _started(run: Callable[..., None], directory: Path, *arguments: str) -> Iterator[Subject]:
    """Run a server in a process of its own and say where it is."""
    directory.mkdir()
    process = multiprocessing.get_context("spawn").Process(target=run, args=(str(directory), *arguments))
    process.start()
    ready = directory / "ready.json"
    deadline = time.monotonic() + _START_PATIENCE
    while not ready.exists():
        if process.exitcode is not None or time.monotonic() > deadline:
            raise RuntimeError(f"a server did not start; see {directory}")
        time.sleep(0.01)
    try:
        above = psutil.Process(process.pid)
        address = json.loads(ready.read_text())["address"]
        yield Subject(address, [above, *(child for child in above.children() if child.name() == "envoy")])
    finally:
        process.terminate()
        process.join(30)


def _serve(directory: str, engine: str, redis_url: str) -> None:
    home = Path(directory)
    os.dup2(os.open(home / "server.log", os.O_WRONLY | os.O_CREAT), 2)
    ready = home / "ready.json"
    given = {"home": home, "listen": "127.0.0.1:0", "engine": engine, "redis_url": redis_url, "ready_file": ready}
    serve(read_settings(**given, drain_delay=0.0))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--offers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--reads", type=int, default=100_000, help="commands of redis-benchmark in each round")
    return parser.parse_args()


if __name__ == "__main__":
    main()
