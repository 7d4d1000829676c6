"""What arms that name a model cost: memory of a second generation, and what a call takes more.

One server in this process, its calls dispatched without a network, some at once as they share reads, in turns: a
placement without an experiment, one with an experiment whose arms share a model, one whose customers' arm has the model
that is held. The first of them is also measured before there was any experiment. What counts is the processor's time.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.report import report
from benchmarks.shop import customer_id, publish_shop, write_model
from dangol.v1.offer_service_pb2 import RecommendOffersRequest, RecommendOffersResponse
from models.catalog import CatalogChange
from models.experiments import Arm, Experiment
from models.offers import Placement
from models.progress import SilentProgress
from models.registry import Registry
from service import publisher
from service.composition import Running, running
from service.settings import read_settings
from service.store.catalog_store import apply_blocking
from service.store.connection import RedisSettings, SyncConnection, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.generation_store import GenerationStore

PATH = "/dangol.v1.OfferService/RecommendOffers"
ITEMS, OFFERS = 10_000, 1_000
ROUNDS, CALLS = 400, 8
PLACEMENTS = ("bare", "split", "rival")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    customers = parser.parse_args().customers
    with TemporaryDirectory() as directory, EmbeddedRedis(Path(directory) / "redis") as redis:
        asyncio.run(_measure(Path(directory), redis.url, customers))


async def _measure(directory: Path, redis_url: str, customers: int) -> None:
    publish_shop(redis_url, directory, customers, ITEMS, OFFERS)
    settings = read_settings(
        home=directory, redis_url=redis_url, metrics_listen="off", read_timeout=30.0, log_calls=False
    )
    with connect_blocking(RedisSettings(redis_url), timeout=60) as connection:
        placements = CatalogChange(placements=tuple(map(Placement, PLACEMENTS)))
        apply_blocking(connection, "local", placements)
        async with running(settings, redis_url) as server:
            before = await _medians(server, PLACEMENTS[:1])
            version = _hold(directory, connection, customers)
            apply_blocking(connection, "local", CatalogChange(experiments=_experiments(version)))
            memory, begin = _resident_bytes(), time.perf_counter()
            await server.parts.snapshots.refresh()
            report("arms.take-up", time.perf_counter() - begin, "s")
            report("arms.server-memory", (_resident_bytes() - memory) / 2**20, "MiB")
            after = await _medians(server, PLACEMENTS)
    bare = after["bare"]
    report("arms.call", before["bare"] * 1e6, "µs")
    report("arms.call-beside", bare * 1e6, "µs", against="the same before", ratio=bare / before["bare"])
    for name in PLACEMENTS[1:]:
        report(f"arms.call-{name}", after[name] * 1e6, "µs", against="no experiment", ratio=after[name] / bare)


def _hold(directory: Path, connection: SyncConnection, customers: int) -> str:
    registry, store = Registry(directory / "models"), GenerationStore(connection)
    version = write_model(registry, customers, ITEMS, np.random.default_rng(8))
    memory, begin = _used_memory(connection), time.perf_counter()
    publisher.hold(registry, version, store, "local", SilentProgress())
    seconds = time.perf_counter() - begin
    report("arms.hold", customers / seconds, "customers/s")
    report("arms.held-bytes", (_used_memory(connection) - memory) / customers, "bytes/customer")
    return version


def _experiments(version: str) -> tuple[Experiment, ...]:
    """Let everybody meet the second arm, but for one in a million."""
    return tuple(
        Experiment(f"{name}-models", (name,), (Arm("control"), Arm(name, 1_000_000, model_version=named)))
        for name, named in (("split", ""), ("rival", version))
    )


async def _medians(server: Running, placements: Sequence[str]) -> dict[str, float]:
    """Give the median of the processor's seconds that a call for each placement takes, in turns."""
    seconds: dict[str, list[float]] = {placement: [] for placement in placements}
    for number in range(ROUNDS):
        for placement in placements:
            names = [customer_id(number * CALLS + call) for call in range(CALLS)]
            requests = [RecommendOffersRequest(customer_id=name, placements=[placement]) for name in names]
            contents = [request.SerializeToString() for request in requests]
            deadline, begin = time.monotonic() + 60, time.process_time()
            answers = await asyncio.gather(
                *(server.parts.dispatcher.dispatch(PATH, content, (), deadline) for content in contents)
            )
            seconds[placement].append((time.process_time() - begin) / CALLS)
            assert all(len(RecommendOffersResponse.FromString(answer).slates[0].offers) == 10 for answer in answers)
    return {placement: statistics.median(taken) for placement, taken in seconds.items()}


def _used_memory(connection: SyncConnection) -> int:
    return int(connection.client.execute_command("INFO", "memory")["used_memory"])


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
