"""Customers per second of BatchRecommendOffers and of its stream, against one call for each customer, in one run.

All are asked in turns, of one process. The stream asks for a million customers over one call, as fast as it takes them.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

import grpc.aio
import uvloop

from benchmarks.harness.servers import Server, running_server
from benchmarks.load import Load, run_load
from benchmarks.report import report
from benchmarks.shop import customer_id, published_shop
from dangol.v1.offer_service_pb2 import (
    BatchRecommendOffersRequest,
    BatchRecommendOffersResponse,
    RecommendOffersRequest,
    StreamRecommendOffersRequest,
    StreamRecommendOffersResponse,
)

_SERVICE = "/dangol.v1.OfferService"
_UNARY, _BATCH = f"{_SERVICE}/RecommendOffers", f"{_SERVICE}/BatchRecommendOffers"
_STREAM = f"{_SERVICE}/StreamRecommendOffers"
_AT_ONCE = 4
_WARM_SHARE = 0.1  # of the stream, before its memory is looked at for the first time


def main() -> None:
    """Publish a shop and ask a server of each engine."""
    options = _options()
    with published_shop(options.customers, options.items, options.offers) as shop:
        for engine in options.engines:
            settings = {"engine": engine, "log_calls": False}
            with running_server(shop.directory / engine, shop.redis.url, **settings) as server:
                _compare(engine, server, options)
                _stream(engine, server, options)


def _compare(engine: str, server: Server, options: argparse.Namespace) -> None:
    randomness = random.Random(7)
    names = [customer_id(randomness.randrange(options.customers)) for _ in range(20 * options.size)]
    alone = [RecommendOffersRequest(customer_id=name, placements=["default"]).SerializeToString() for name in names]
    batches = [request.SerializeToString() for request in _batches(names, options.size)]
    single, many = [], []
    for _ in range(options.rounds):
        single.append(run_load(Load(server.address, _UNARY, alone, options.seconds)))
        many.append(run_load(Load(server.address, _BATCH, batches, options.seconds, _AT_ONCE)))
    calls = statistics.median(outcome.rate for outcome in single)
    customers = statistics.median(outcome.rate for outcome in many) * options.size
    report(f"batch.{engine}.customers", round(customers), f"customers/s, {options.size} a call",
           floor=12_000, goal=40_000)  # fmt: skip
    report(f"batch.{engine}.against-unary", round(customers), "customers/s", against=f"a call each: {calls:.0f} /s",
           ratio=round(customers / calls, 2))  # fmt: skip
    failures = sum(outcome.failures for outcome in (*single, *many))
    report(f"batch.{engine}.failed-calls", failures, "calls", floor=0, goal=0)


def _batches(names: Sequence[str], size: int) -> list[BatchRecommendOffersRequest]:
    return [
        BatchRecommendOffersRequest(customer_ids=names[start : start + size], placement="default")
        for start in range(0, len(names), size)
    ]


def _stream(engine: str, server: Server, options: argparse.Namespace) -> None:
    names = [customer_id(number) for number in range(options.customers)]
    requests = [
        StreamRecommendOffersRequest(batch=batch).SerializeToString() for batch in _batches(names, options.size)
    ]
    answers, growth, seconds = uvloop.run(_measure(server, requests, options.streamed // options.size))
    report(f"batch.{engine}.streamed", round(answers * options.size / seconds), "customers/s in one stream")
    report(f"batch.{engine}.stream-memory", round(growth / 1e6, 1),
           f"MB that the server grew by in {answers * options.size} customers", floor=50, goal=20)  # fmt: skip


async def _measure(server: Server, requests: Sequence[bytes], count: int) -> tuple[int, int, float]:
    """Give how many batches were answered, by how much the server's memory grew at most, and the seconds it took."""
    answers, first, most, last = 0, 0, 0, b""
    begin = time.perf_counter()
    async with grpc.aio.insecure_channel(server.address) as channel:
        ask = cast("Callable[..., AsyncIterator[bytes]]", channel.stream_stream(_STREAM))
        async for answer in ask(_taken(requests, count)):
            answers, last = answers + 1, answer
            if answers == round(count * _WARM_SHARE):
                first = server.memory()
            elif first and answers % 20 == 0:
                most = max(most, server.memory() - first)
    seconds = time.perf_counter() - begin
    batch: BatchRecommendOffersResponse = StreamRecommendOffersResponse.FromString(last).batch
    if batch.served.degraded or not all(len(one.slate.offers) == 10 for one in batch.customer_slates):
        raise RuntimeError("the server does not give whole answers")
    return answers, most, seconds


async def _taken(requests: Sequence[bytes], count: int) -> AsyncIterator[bytes]:
    for request in itertools.islice(itertools.cycle(requests), count):
        yield request
        await asyncio.sleep(0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="+", choices=("grpcio", "envoy"), default=["grpcio", "envoy"])
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--offers", type=int, default=1_000)
    parser.add_argument("--size", type=int, default=500, help="customers of a call")
    parser.add_argument("--streamed", type=int, default=1_000_000, help="customers of the stream")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
