"""How soon an answer follows an event, and how much a worker carries.

Real processes throughout: Redis with its append-only file, one ``dangol serve``, one ``dangol worker``, and clients.
A customer views an item of a taste that nothing in their published list has; what is measured is the time from the
acknowledgement of that event to the first answer that holds this taste. ``--seconds`` and the like make it shorter.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness.dangol_process import ServerProcess
from benchmarks.harness.event_load import EventLoad, EventOutcome, event_load
from benchmarks.harness.live_shop import customer_id, item_id, write_model
from benchmarks.harness.redis_process import RedisProcess
from benchmarks.harness.worker_process import WorkerProcess
from benchmarks.report import report
from models.events import Event
from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import publish
from service.store.connection import RedisSettings, SyncConnection, connect_blocking
from service.store.event_log import append_blocking
from service.store.generation_store import GenerationStore
from service.store.log_group import LogGroup

TENANT = "local"
_SERVER = {"log_calls": "false", "log_level": "warning", "read_timeout": 0.2}
_WORKER = {"log_level": "warning", "archive_interval": 5}
_BATCH = 1_000


def main() -> None:
    """Measure and report."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as directory, ExitStack() as stack:
        home = Path(directory) / "home"
        registry = Registry(home / "models")
        version = write_model(registry, options.items, options.customers)
        redis = stack.enter_context(RedisProcess(Path(directory) / "redis"))
        connection = stack.enter_context(connect_blocking(RedisSettings(redis.url), timeout=30))
        publish(registry, version, GenerationStore(connection), TENANT, SilentProgress())
        _measure_throughput(connection, home, redis.url, options)
        server = stack.enter_context(ServerProcess(home, "server", redis.url, _SERVER))
        stack.enter_context(WorkerProcess(home, "worker", redis.url, _WORKER))
        _measure_freshness(connection, server.address, options)
        _measure_burst(connection, server.address, options)


def _measure_throughput(connection: SyncConnection, home: Path, url: str, options: argparse.Namespace) -> None:
    """Let a worker work off a log: of one event a customer, then of ten."""
    for customers, each in ((options.backlog, 1), (options.backlog // 10, 10)):
        append = [
            Event(
                f"log-{each}-{number}",
                customer_id(number % customers),
                "view",
                datetime.now(UTC),
                item_id(number % 5_000),
            )
            for number in range(customers * each)
        ]
        for start in range(0, len(append), _BATCH):
            append_blocking(connection, TENANT, append[start : start + _BATCH])
        with WorkerProcess(home, f"alone-{each}", url, _WORKER):
            seconds = _until_applied(connection)
        report(
            f"freshness.worker-{'customers' if each == 1 else 'events'}",
            round(len(append) / seconds),
            f"{'customers' if each == 1 else 'events'}/s of one worker, {each} event{'s' * (each > 1)} a customer",
            floor=500,
            goal=1_000,
        )


def _measure_freshness(connection: SyncConnection, address: str, options: argparse.Namespace) -> None:
    outcome = _under_load(address, options, options.rate, options.seconds, "steady")
    delays = sorted(outcome.delays)
    report("freshness.events", round(outcome.events / options.seconds), "events/s acknowledged meanwhile")
    report("freshness.p50", round(statistics.median(delays) * 1_000, 1), "ms from acknowledgement to changed slate")
    report(
        "freshness.p99",
        round(delays[len(delays) * 99 // 100] * 1_000, 1),
        f"ms from acknowledgement to changed slate, {len(delays)} looks at {options.rate:.0f} events/s",
        floor=250,
        goal=100,
    )
    report("freshness.unchanged", outcome.unchanged + outcome.failed, "looks without a change", floor=0, goal=0)
    _until_applied(connection)


def _measure_burst(connection: SyncConnection, address: str, options: argparse.Namespace) -> None:
    outcome = _under_load(address, options, 10 * options.rate, options.burst, "burst", looks=0)
    behind = _waiting(connection)
    seconds = _until_applied(connection)
    report(
        "freshness.after-burst",
        round(seconds, 2),
        f"s until the lag is zero after {outcome.events} events in {options.burst:.0f} s ({behind} of them waiting)",
        floor=60,
        goal=10,
    )


def _under_load(
    address: str, options: argparse.Namespace, rate: float, seconds: float, prefix: str, looks: float = 10.0
) -> EventOutcome:
    load = EventLoad(address, rate, looks, options.customers, prefix)
    with event_load(load) as running:
        time.sleep(seconds)
        return running.stop()


def _until_applied(connection: SyncConnection) -> float:
    begin = time.monotonic()
    while _waiting(connection):
        time.sleep(0.01)
    return time.monotonic() - begin


def _waiting(connection: SyncConnection) -> int:
    return sum(lag.waiting + lag.pending for lag in LogGroup(connection, TENANT, "").lags())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--customers", type=int, default=60_000)
    parser.add_argument("--rate", type=float, default=500.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")
    parser.add_argument("--burst", type=float, default=5.0, help="seconds of ten times the rate")
    parser.add_argument("--backlog", type=int, default=5_000, help="customers whose events wait for a worker")
    return parser.parse_args()


if __name__ == "__main__":
    main()
