"""The whole RecommendOffers on engine ``envoy`` against grpcio, the engine's bare echo and Redis' own MGET, in one run.

All are asked in turns. Redis is asked for the same two keys of a customer per command, 32 commands at once on one
connection, prepared beforehand and only counted: what Redis can do at best for one reader.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import socket
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
from benchmarks.report import report
from benchmarks.shop import customer_id, published_shop
from dangol.v1.offer_service_pb2 import RecommendOffersRequest
from service.server import serve
from service.settings import read_settings
from service.store.connection import RedisSettings, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.generation_store import GenerationStore
from service.store.keys import customer_keys

_TENANT = "local"
_START_PATIENCE = 60.0
_HALF = 0.5
_AT_ONCE = 32


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
    commands = _commands(redis.url, names)
    reads = []
    for _ in range(options.rounds):
        for subject in subjects.values():
            _ask(subject, requests, options)
        reads.append(_read(redis.socket_path, commands, options.seconds))
    ours = subjects["envoy"]
    half = ours.rate * _HALF
    for _ in range(options.rounds):
        ours.paced.append(run_load(Load(ours.address, PATH, requests, options.seconds, rate=half)))
    _report(subjects, statistics.median(reads), half)


def _ask(subject: Subject, requests: Sequence[bytes], options: argparse.Namespace) -> None:
    before = subject.spent()
    outcome = run_load(Load(subject.address, PATH, requests, options.seconds, options.concurrency))
    subject.full.append(outcome)
    subject.processor.append((subject.spent() - before) / outcome.calls)


def _report(subjects: dict[str, Subject], reads: float, half: float) -> None:
    ours = subjects["envoy"]
    others = {
        "grpcio": (subjects["grpcio"].rate, "the same on grpcio", 3.0, 4.5),
        "echo": (subjects["echo"].rate, "bare echo on envoy", 0.25, 0.5),
        "mget": (reads, "MGET of the same keys, pipelined", None, None),
    }
    for name, (other, what, floor, goal) in others.items():
        report(f"engines.calls-to-{name}", round(ours.rate, 1), "calls/s", against=f"{what}: {other:.0f} /s",
               ratio=round(ours.rate / other, 3), floor=floor, goal=goal)  # fmt: skip
    for name, subject in subjects.items():
        report(f"engines.processor-time-{name}", round(statistics.median(subject.processor) * 1e6, 1), "us/call")
    for name, share, floor, goal in (("p99", 0.99, 10, 5), ("p99.9", 0.999, 30, 15)):
        report(f"engines.{name}", round(ours.percentile(share), 3), f"ms at {half:.0f} calls/s", floor=floor, goal=goal)
    memory = sum(process.memory_info().rss for process in ours.processes)
    report("engines.memory", round(memory / 1e6), "MB of supervisor and Envoy")
    failures = sum(outcome.failures for subject in subjects.values() for outcome in (*subject.full, *subject.paced))
    report("engines.failed-calls", failures, "calls", floor=0, goal=0)


def _commands(url: str, names: Sequence[str]) -> list[bytes]:
    """Write the MGET of each customer as Redis takes it, ``_AT_ONCE`` of them in each piece."""
    with connect_blocking(RedisSettings(url)) as connection:
        record = GenerationStore(connection).overview(_TENANT).live
    if record is None:
        raise RuntimeError("nothing is published")
    commands = []
    for name in names:
        keys = [key.encode() for key in customer_keys(_TENANT, record.generation, name)]
        commands.append(b"*3\r\n$4\r\nMGET\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(key), key) for key in keys))
    return [b"".join(commands[start : start + _AT_ONCE]) for start in range(0, len(commands), _AT_ONCE)]


def _read(path: Path, pieces: Sequence[bytes], seconds: float) -> float:
    """Give how many of the commands Redis answers in a second."""
    answered, start = 0, time.perf_counter()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        while (elapsed := time.perf_counter() - start) < seconds:
            piece = pieces[answered // _AT_ONCE % len(pieces)]
            expected = piece.count(b"MGET")
            connection.sendall(piece)
            answers = b""
            # Every answer begins with the count of its values; no value of ours contains that line.
            while answers.count(b"*2\r\n") < expected or not answers.endswith(b"\r\n"):
                answers += connection.recv(1 << 18)
            answered += expected
    return answered / elapsed


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
    return parser.parse_args()


if __name__ == "__main__":
    main()
