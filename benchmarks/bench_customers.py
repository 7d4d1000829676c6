"""What it costs to know more of customers than what they do: ``python -m benchmarks.bench_customers``.

Reads many customers at a time, as a busy server does: without records, with them, and customers of two ids each.
"""

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from benchmarks.report import report
from models.customers import Consent, ConsentStatus, CustomerRecord
from models.events import Event
from service.store.connection import AsyncConnection, RedisSettings, connect
from service.store.customer_reader import CustomerRead, CustomerReader
from service.store.customer_store import CustomerStore
from service.store.embedded import EmbeddedRedis
from service.store.event_log import EventLog
from service.store.link_store import LinkStore
from service.store.record_reader import RecordReader

TENANT = "local"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOGETHER = 64
"""Customers that are read in one command."""


class Reader(Protocol):
    """Is what reads customers."""

    async def read(self, tenant: str, generation: int, customer_ids: list[str], timeout: float) -> CustomerRead:
        """Read customers."""


async def fill(connection: AsyncConnection, count: int) -> tuple[list[str], list[str]]:
    """Store customers of one id and of two, with events and records, and give their ids."""
    single = [f"customer-{number:06d}" for number in range(count)]
    joined = [f"card-{number:06d}" for number in range(count)]
    consent = Consent("marketing", "push", ConsentStatus.WITHDRAWN, NOON)
    records = [CustomerRecord(name, "Asia/Seoul", "ko", {"tier": "gold"}, (consent,), NOON) for name in single + joined]
    for start in range(0, len(records), 500):
        await CustomerStore(connection).store(TENANT, records[start : start + 500], 30)
    events = [
        Event(f"{name}-{number}", name, "purchase", NOON, f"item-{number}")
        for name in single + joined
        for number in range(8)
    ]
    for start in range(0, len(events), 1_000):
        await EventLog(connection).append(TENANT, events[start : start + 1_000], 30)
    for name in joined:
        await LinkStore(connection).link(TENANT, name, [f"device-{name}"], 30)
    return single, joined


async def microseconds(reader: Reader, names: list[str], rounds: int) -> float:
    """Give the best time for one customer of several rounds over all of them."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        for start in range(0, len(names), TOGETHER):
            await reader.read(TENANT, 1, names[start : start + TOGETHER], 30)
        best = min(best, (time.perf_counter() - begin) / len(names))
    return best * 1e6


async def measure(url: str, count: int, rounds: int) -> None:
    """Measure the three ways in turn, on the same Redis."""
    connection = connect(RedisSettings(url=url, command_timeout=30.0, read_timeout=30.0))
    single, joined = await fill(connection, count)
    plain = CustomerReader(connection)
    without = await microseconds(plain, single, rounds)
    with_records = await microseconds(RecordReader(plain), single, rounds)
    of_two_ids = await microseconds(RecordReader(plain), joined, rounds)
    report("customers.read-without-records", without, "µs per customer")
    for name, value in (("customers.read-with-records", with_records), ("customers.read-joined", of_two_ids)):
        against = f"without records: {without:.1f} µs"
        report(name, value, "µs per customer", against=against, ratio=value / without)
    await connection.aclose()


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2_048)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, EmbeddedRedis(Path(directory) / "redis") as redis:
        asyncio.run(measure(redis.url, options.customers, options.rounds))


if __name__ == "__main__":
    main()
