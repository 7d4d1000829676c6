"""How fast lists reach Redis, and how much of its memory they take.

Speed is measured against a bare pipelined SET of the same values by the same client in the same run. Memory is the
growth of Redis' used_memory, so keys, tables and what the allocator rounds up are in it. ``--full`` goes on to a
million customers (needs about 1 GB of memory and a few minutes).
"""

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.report import report
from models.candidates import CANDIDATE, MAXIMAL_EVIDENCE, CandidateTable
from models.item_model import EVERYONE, ItemModel
from models.progress import SilentProgress
from models.registry import Registry
from models.vocabulary import Vocabulary
from service.publisher import publish
from service.store import candidate_codec, keys
from service.store.clients import SyncClient
from service.store.connection import RedisSettings, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.generation_store import GenerationStore

TENANT = "local"
GENERATION = 60_000_000
"""A number as long as real ones are: see service/store/keys.py."""
LIST_SIZE = 100
ITEMS = 50_000
ROUNDS = 5
SPEED_CUSTOMERS = 30_000
PIPELINE = 1_000
CHUNK = 65_536
"""Customers in one table, as an artifact chunks them."""
SIZES = (10_000, 30_000, 100_000)
FULL_SIZES = (10_000, 100_000, 1_000_000)


def random_tables(customers: int) -> Iterator[CandidateTable]:
    """Give full lists with eight evidence items each, the same ones every time, chunk by chunk."""
    randomness = np.random.default_rng(1)
    for start in range(0, customers, CHUNK):
        count = min(CHUNK, customers - start)
        candidates = np.zeros((count, LIST_SIZE), CANDIDATE)
        candidates["row"] = randomness.integers(0, ITEMS, candidates.shape)
        candidates["score"] = randomness.uniform(0, 1, candidates.shape)
        candidates["source"] = 1
        yield CandidateTable(
            [f"customer-{number:08d}" for number in range(start, start + count)],
            candidates,
            np.full(count, LIST_SIZE, np.uint16),
            randomness.integers(0, ITEMS, (count, MAXIMAL_EVIDENCE)).astype(np.uint32),
            np.full(count, MAXIMAL_EVIDENCE // 2, np.uint8),
        )


def write_artifact(registry: Registry, customers: int) -> str:
    """Write a model of that many customers, and give its version."""
    with registry.writer() as writer:
        writer.write_items(
            ItemModel(
                Vocabulary([f"item-{number:06d}" for number in range(ITEMS)]),
                np.ones(ITEMS, np.float32),
                np.zeros((ITEMS, 20), np.uint32),
                np.zeros((ITEMS, 20), np.float32),
                np.zeros(ITEMS, np.uint16),
                {EVERYONE: np.zeros(LIST_SIZE, CANDIDATE)},
            )
        )
        writer.write_factors(np.zeros((ITEMS, 8), np.float32))
        for table in random_tables(customers):
            writer.write_lists(table)
        day = datetime(2026, 1, 1, tzinfo=UTC)
        return writer.finish(
            first_event_time=day,
            last_event_time=day,
            counts={"customers": customers, "items": ITEMS},
            configuration={},
            metrics={},
        ).model_version


def seconds_of(work: Callable[[], object]) -> float:
    """Time some work on the wall clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def set_bare(client: SyncClient, values: dict[str, bytes]) -> None:
    """Write values as anybody would: SET by SET in pipelines."""
    names = list(values)
    for start in range(0, len(names), PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for name in names[start : start + PIPELINE]:
            pipeline.execute_command("SET", name, values[name])
        pipeline.execute()


def empty(client: SyncClient) -> int:
    """Empty Redis and give the memory that it takes then."""
    client.execute_command("FLUSHALL")
    return used_memory(client)


def used_memory(client: SyncClient) -> int:
    """Give the bytes that Redis says it uses."""
    return int(client.execute_command("INFO", "memory")["used_memory"])


def measure_speed(store: GenerationStore, registry: Registry) -> None:
    """Compare the whole publish, from files to the moved pointer, with bare SETs of the same values."""
    version = write_artifact(registry, SPEED_CUSTOMERS)
    client = store.connection.client
    values = {
        keys.candidates_key(TENANT, GENERATION, customer_id): value
        for table in random_tables(SPEED_CUSTOMERS)
        for customer_id, value in zip(table.customer_ids, candidate_codec.encode_table(table), strict=True)
    }
    ours, bare = [], []
    for _ in range(ROUNDS):
        empty(client)
        bare.append(seconds_of(lambda: set_bare(client, values)))
        empty(client)
        ours.append(seconds_of(lambda: publish(registry, version, store, TENANT, SilentProgress())))
    ratio = statistics.median(theirs / our for theirs, our in zip(bare, ours, strict=True))
    speed, bare_speed = (SPEED_CUSTOMERS / statistics.median(seconds) for seconds in (ours, bare))
    report(
        "publish.speed",
        round(speed),
        "customers/s",
        against=f"bare pipelined SET of the same values: {bare_speed:,.0f} customers/s",
        ratio=round(ratio, 3),
        floor=0.5,
        goal=0.8,
    )
    retired = seconds_of(lambda: publish(registry, version, store, TENANT, SilentProgress()))
    report("publish.republish-speed", round(SPEED_CUSTOMERS / retired), "customers/s")
    seconds = seconds_of(lambda: store.roll_back(TENANT))
    report("publish.roll-back", round(seconds * 1_000, 2), "ms until the pointer has moved", floor=1_000, goal=100)


def write_all(store: GenerationStore, tables: Iterable[CandidateTable]) -> None:
    """Write tables into a generation."""
    for table in tables:
        deque(store.write_lists(TENANT, GENERATION, table), maxlen=0)


def measure_growth(store: GenerationStore, sizes: tuple[int, ...]) -> None:
    """Measure memory and time for each customer at growing numbers of customers."""
    client = store.connection.client
    memory: dict[int, float] = {}
    speed: dict[int, float] = {}
    for size in sizes:
        before = empty(client)
        # Lists are made while they are written, so that memory of this process does not grow; that time is taken off.
        making = seconds_of(partial(deque, random_tables(size), maxlen=0))
        writing = seconds_of(partial(write_all, store, random_tables(size)))
        memory[size] = (used_memory(client) - before) / size
        speed[size] = size / (writing - making)
        report(f"publish.memory-at-{size}", round(memory[size], 1), "bytes/customer", floor=1_000, goal=1_000)
    smallest, largest = sizes[0], sizes[-1]
    for name, measured in (("memory", memory), ("time", {size: 1 / value for size, value in speed.items()})):
        report(
            f"publish.{name}-growth",
            round(measured[largest] / measured[smallest], 3),
            f"per customer at {largest:,} customers over that at {smallest:,}",
            floor=1.3,
            goal=1.1,
        )


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="measure growth up to a million customers")
    sizes = FULL_SIZES if parser.parse_args().full else SIZES
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedRedis(Path(directory) / "redis") as redis,
        connect_blocking(RedisSettings(url=redis.url), timeout=30) as connection,
    ):
        store = GenerationStore(connection)
        measure_speed(store, Registry(Path(directory) / "registry"))
        measure_growth(store, sizes)
        empty(connection.client)


if __name__ == "__main__":
    main()
