"""What it costs to acknowledge events when Redis' disk has them: ``python -m benchmarks.bench_durability``.

Appends batches to a real Redis with an append-only file in the three ways that docs/live.md names, from as many tasks
at once as a busy server has calls. Rates with the disk's help rise with the tasks, as all of them wait together.
"""

import argparse
import asyncio
import tempfile
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.harness.redis_process import RedisProcess
from benchmarks.report import report
from models.events import Event
from service.store.connection import RedisSettings, connect
from service.store.disk_wait import CONNECTIONS, DiskWait
from service.store.event_log import EventLog, EventLogSettings

TENANT = "local"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BATCH = 10
"""Events of one append."""
WAYS = (("write-everysec", "everysec", False), ("fsync-everysec", "everysec", True), ("write-always", "always", False))


async def latencies(url: str, seconds: float, tasks: int, *, on_disk: bool) -> list[float]:
    """Append for some seconds from so many tasks, and give the seconds that each append took."""
    settings = RedisSettings(url, command_timeout=10.0, pool_size=CONNECTIONS, pool_wait=10.0)
    connection, waits = connect(settings), connect(settings)
    log = EventLog(connection, EventLogSettings(), DiskWait(waits) if on_disk else None)
    taken: list[float] = []
    numbers = count()
    end = time.perf_counter() + seconds

    async def append_on() -> None:
        while (begin := time.perf_counter()) < end:
            number = next(numbers)
            customer = f"customer-{number % 5_000}"
            events = [Event(f"{number}-{at}", customer, "view", NOON, f"item-{at}") for at in range(BATCH)]
            await log.append(TENANT, events, 10)
            taken.append(time.perf_counter() - begin)

    await asyncio.gather(*(append_on() for _ in range(tasks)))
    await connection.aclose()
    await waits.aclose()
    return taken


def main() -> None:
    """Measure one way after the other, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--tasks", type=int, nargs="+", default=[16, 256])
    options = parser.parse_args()
    for tasks in options.tasks:
        first = 0.0
        for name, fsync, on_disk in WAYS:
            with tempfile.TemporaryDirectory() as folder, RedisProcess(Path(folder) / "redis", fsync) as redis:
                taken = asyncio.run(latencies(redis.url, options.seconds, tasks, on_disk=on_disk))
            rate = BATCH * len(taken) / options.seconds
            first = first or rate
            against = f"write-everysec: {first:,.0f} events/s"
            report(f"durability.{name}.{tasks}-tasks", rate, "events/s", against=against, ratio=rate / first)
            for share in (50, 99):
                milliseconds = float(np.percentile(taken, share)) * 1_000
                report(f"durability.{name}.{tasks}-tasks.p{share}", milliseconds, "ms")


if __name__ == "__main__":
    main()
