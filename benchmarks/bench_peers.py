"""Dangol beside two things that people would write instead: same data, same model, same machine, same run.

All are asked in turns by the same cheap load generator over the same number of connections: as fast as each answers,
then at half of that, then all at one rate, latency counted from the moment at which a call should have begun.
"""

import argparse
import contextlib
import itertools
import json
import random
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import grpc

from benchmarks.harness.redis_process import RedisProcess, free_port
from benchmarks.harness.servers import Server, running_program, running_server
from benchmarks.load import Load, run_load
from benchmarks.outcome import Outcome, percentile
from benchmarks.peers.shop import make_shop
from benchmarks.performance import PeerRow, keep
from benchmarks.report import report
from benchmarks.shop import customer_id
from dangol.v1.offer_service_pb2 import RecommendOffersRequest
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub

PATH = "/dangol.v1.OfferService/RecommendOffers"
_KINDS = _FULL, _HALF, _SAME = "full", "half", "same"
_SHARE = 0.5
_PATIENCE = 5.0
_SAMPLE = 100
_CACHED = 2_000
_DANGOL = ("grpcio", "envoy")
_PEERS = ("fastapi", "fastapi-cached", "grpc-aio")


@dataclass(slots=True)
class Subject:
    """Is one service under measurement. Each load asks the next of its ``batches``, ``once`` or over and over.

    ``spent`` is seconds of its processor time per call, of each full load.
    """

    server: Server
    batches: Iterator[Sequence[bytes]]
    path: str = PATH
    once: bool = False
    outcomes: dict[str, list[Outcome]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    spent: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Give the calls per second of the round in the middle."""
        return statistics.median(outcome.rate for outcome in self.outcomes[_FULL])

    def percentile(self, kind: str, share: float) -> float:
        """Give the latency of all rounds of a kind together, in milliseconds."""
        return percentile([latency for outcome in self.outcomes[kind] for latency in outcome.latencies], share) * 1000

    def ask(self, kind: str, options: argparse.Namespace, rate: float = 0.0) -> None:
        """Load it. RuntimeError when the batch was too small to ask for nobody twice where that is wanted."""
        batch, before = next(self.batches), self.server.spent()
        load = Load(self.server.address, self.path, batch, options.seconds, options.connections, rate,
                    options.connections, patience=_PATIENCE)  # fmt: skip
        outcome = run_load(load)
        if self.once and outcome.calls + outcome.failures > len(batch):
            raise RuntimeError("customers were asked for twice: take fewer --seconds or more --customers")
        self.outcomes[kind].append(outcome)
        if kind == _FULL:
            self.spent.append((self.server.spent() - before) / outcome.calls)


def main() -> None:
    """Make the shop, start everybody, and ask them in turns."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as temporary, contextlib.ExitStack() as stack:
        directory = Path(temporary)
        redis = stack.enter_context(RedisProcess(directory / "redis"))
        make_shop(directory, redis.url, options.customers, options.items, options.offers)
        subjects = _started(stack, directory, redis.url, options)
        same_items = _same_items(subjects)
        for _ in range(options.rounds):
            for subject in subjects.values():
                subject.ask(_FULL, options)
        rate = min(subject.rate for subject in subjects.values()) * _SHARE
        for _ in range(options.rounds):
            for subject in subjects.values():
                subject.ask(_HALF, options, subject.rate * _SHARE)
                subject.ask(_SAME, options, rate)
        rows = [_row(name, subject, rate) for name, subject in subjects.items()]
    _report(rows, same_items)
    sizes = {name: getattr(options, name) for name in ("customers", "items", "offers", "connections")}
    scene = {**sizes, "rounds": options.rounds, "seconds": options.seconds}
    keep("peers", {"scene": scene, "rows": [asdict(row) for row in rows]})


def _started(
    stack: contextlib.ExitStack, directory: Path, redis_url: str, options: argparse.Namespace
) -> dict[str, Subject]:
    """Start everybody. Of customers in a random order the first are in the peer's cache, the others asked for once."""
    numbers = list(range(options.customers))
    random.Random(7).shuffle(numbers)
    names = [customer_id(number) for number in numbers]
    requests = [RecommendOffersRequest(customer_id=name, placements=["default"]).SerializeToString() for name in names]
    targets = [f"/customers/{name}/recommendations".encode() for name in names]
    dangol = {
        f"dangol-{engine}": stack.enter_context(running_server(directory / engine, redis_url, engine=engine))
        for engine in _DANGOL
    }
    fastapi, plain = (stack.enter_context(peer) for peer in _peers(directory, redis_url))
    size = (len(targets) - _CACHED) // (len(_KINDS) * options.rounds)
    fresh = (targets[start : start + size] for start in range(_CACHED, len(targets), size))
    _fill_cache(fastapi.address, targets[:_CACHED])
    return {
        **{name: Subject(server, itertools.repeat(requests[:5000])) for name, server in dangol.items()},
        "fastapi": Subject(fastapi, fresh, path="", once=True),
        "fastapi-cached": Subject(fastapi, itertools.repeat(targets[:_CACHED]), path=""),
        "grpc-aio": Subject(plain, itertools.repeat(requests[:5000])),
    }


def _peers(directory: Path, redis_url: str) -> Iterator[contextlib.AbstractContextManager[Server]]:
    """Give what runs each peer, with one BLAS thread, as implicit advises."""
    model, port, other = str(directory / "model"), str(free_port()), str(free_port())
    one_thread = {"OPENBLAS_NUM_THREADS": "1"}
    service = [sys.executable, "-m", "uvicorn", "benchmarks.peers.fastapi_service:app", "--port", port]
    told = {**one_thread, "MODEL": model, "REDIS_URL": redis_url}
    yield running_program([*service, "--no-access-log"], f"127.0.0.1:{port}", directory / "fastapi.log", told)
    plain = [sys.executable, "-m", "benchmarks.peers.grpc_service", model, f"127.0.0.1:{other}"]
    yield running_program(plain, f"127.0.0.1:{other}", directory / "grpc-aio.log", one_thread)


def _fill_cache(address: str, targets: Sequence[bytes]) -> None:
    for target in targets:
        with urllib.request.urlopen(f"http://{address}{target.decode()}", timeout=10) as answer:
            answer.read()


def _same_items(subjects: dict[str, Subject]) -> float:
    """Give the share of the items of Dangol's pages that each of the peers shows too; all show ten."""
    customers = [customer_id(number) for number in range(_SAMPLE)]
    shown = [_shown_by_grpc(subjects[name].server.address, customers) for name in ("dangol-envoy", "grpc-aio")]
    shown.append(_shown_by_http(subjects["fastapi-cached"].server.address, customers))
    if any(len(items) != 10 for pages in shown for items in pages):
        raise RuntimeError("somebody does not show ten items")
    pages = zip(*shown, strict=True)
    return sum(len(ours & plain & fastapi) for ours, plain, fastapi in pages) / (10 * len(customers))


def _shown_by_grpc(address: str, customers: Sequence[str]) -> list[set[str]]:
    with grpc.insecure_channel(address) as channel:
        ask = OfferServiceStub(channel).RecommendOffers
        answers = [
            ask(RecommendOffersRequest(customer_id=name, placements=["default"]), timeout=10) for name in customers
        ]
    if any(answer.served.degraded for answer in answers):
        raise RuntimeError("the server does not give whole answers")
    return [{offer.item_id for offer in answer.slates[0].offers} for answer in answers]


def _shown_by_http(address: str, customers: Sequence[str]) -> list[set[str]]:
    pages = []
    for name in customers:
        with urllib.request.urlopen(f"http://{address}/customers/{name}/recommendations", timeout=10) as answer:
            pages.append({item["item_id"] for item in json.load(answer)})
    return pages


def _row(name: str, subject: Subject, rate: float) -> PeerRow:
    return PeerRow(
        name=name,
        calls=round(subject.rate, 1),
        processor=round(statistics.median(subject.spent) * 1e6, 1),
        asking=round(statistics.median(outcome.cost for outcome in subject.outcomes[_FULL]) * 1e6, 1),
        half_rate=round(subject.rate * _SHARE),
        half_p50=round(subject.percentile(_HALF, 0.5), 3),
        half_p99=round(subject.percentile(_HALF, 0.99), 3),
        same_rate=round(rate),
        same_p50=round(subject.percentile(_SAME, 0.5), 3),
        same_p99=round(subject.percentile(_SAME, 0.99), 3),
        memory=round(subject.server.memory() / 1e6),
        failures=sum(outcome.failures for kind in _KINDS for outcome in subject.outcomes[kind]),
    )


def _report(rows: Sequence[PeerRow], same_items: float) -> None:
    found = {row.name: row for row in rows}
    for name, row in found.items():
        report(f"peers.{name}.calls", row.calls, "calls/s", against=f"asking took the client {row.asking} us a call")
        report(f"peers.{name}.processor-time", row.processor, "us/call of the service, Redis left out")
        report(f"peers.{name}.p99-at-half", row.half_p99, f"ms at {row.half_rate} calls/s; p50 {row.half_p50} ms")
        report(f"peers.{name}.p99-at-one-rate", row.same_p99, f"ms at {row.same_rate} calls/s; p50 {row.same_p50} ms")
    for engine, peer in itertools.product(_DANGOL, _PEERS):
        ours, theirs = found[f"dangol-{engine}"].calls, found[peer].calls
        report(f"peers.{engine}-to-{peer}", ours, "calls/s of Dangol", against=f"{peer}: {theirs:.0f} calls/s",
               ratio=round(ours / theirs, 3))  # fmt: skip
    report("peers.same-items", round(same_items, 3), "of the items on Dangol's pages are on those of both peers")
    report("peers.failed-calls", sum(row.failures for row in rows), "calls", floor=0, goal=0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--offers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32, help="with one call at once on each, on average")
    return parser.parse_args()


if __name__ == "__main__":
    main()
