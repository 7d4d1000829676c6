"""Customers are erased while events pour in, a worker archives and refreshes, and models are published."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.harness.dangol_process import ServerProcess, run_dangol
from benchmarks.harness.redis_process import RedisProcess
from benchmarks.harness.worker_process import WorkerProcess
from dangol.client import Client
from dangol.v1.customer_pb2 import Customer
from dangol.v1.event_pb2 import Event
from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import publish
from service.store.archive import Archive
from service.store.connection import SyncConnection, connect_blocking
from service.store.generation_store import GenerationStore
from service.store.log_group import LogGroup
from service.store.scan import scan
from tests.redis_fixtures import patient
from tests.shop import DAYS, FIRST_DAY, customer_name, item_name, write_events

SERVER = {"read_timeout": 0.5, "write_timeout": 10.0, "log_level": "warning", "drain_delay": 0, "engine": "grpcio"}
WORKER = {"archive_interval": 0.2, "log_level": "warning"}
CUSTOMERS = 40
READERS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "string": ("GET", ()),
    "hash": ("HGETALL", ()),
    "set": ("SMEMBERS", ()),
    "zset": ("ZRANGE", (0, -1)),
    "stream": ("XRANGE", ("-", "+")),
}


@contextmanager
def going_on(client: Client, home: Path, redis_url: str) -> Iterator[None]:
    """Let every customer act, and models be published, again and again, for as long as the context."""
    stopping = threading.Event()

    def pour(names: list[str]) -> None:
        for number in itertools.takewhile(lambda _: not stopping.is_set(), itertools.count()):
            item = item_name(number % 40)
            events = [
                # Ids of events are remembered without their customer, so they must not name one.
                Event(event_id=f"{number}-{int(name[-5:])}", customer_id=name, event_type="purchase", item_id=item)
                for name in names
            ]
            for event in events:
                event.event_time.FromDatetime(FIRST_DAY + timedelta(days=DAYS + number % 20))
            client.record_events(events)
            client.upsert_customers([Customer(customer_id=names[number % len(names)], language="ko")])
            client.recommend_offers(names[number % len(names)], "default")

    def republish() -> None:
        with connect_blocking(patient(redis_url)) as connection:
            while not stopping.wait(0.2):
                publish(Registry(home / "models"), None, GenerationStore(connection), "local", SilentProgress())

    names = [customer_name(number) for number in range(CUSTOMERS)]
    with ThreadPoolExecutor(3) as executor:
        work: list[Future[None]] = [executor.submit(pour, names[half::2]) for half in range(2)]
        work.append(executor.submit(republish))
        try:
            yield
        finally:
            stopping.set()
        for one in work:
            one.result()


def keys_naming(connection: SyncConnection, customer_id: str) -> list[bytes]:
    """Look into every key of Redis, whatever it is there for."""
    wanted, found = customer_id.encode(), []
    for name in (name for page in scan(connection, "*") for name in page):
        kind = connection.client.execute_command("TYPE", name)
        command, arguments = READERS[kind.decode() if isinstance(kind, bytes) else kind]
        content = connection.client.execute_command(command, name, *arguments)
        if wanted in name or wanted in repr(content).encode():
            found.append(name)
    return found


def wait_until_archived(redis_url: str) -> None:
    """Return when the worker has applied and archived everything, and the log is empty."""
    deadline = time.monotonic() + 120
    with connect_blocking(patient(redis_url)) as connection:
        while any(lag.length for lag in LogGroup(connection, "local", "").lags()):
            assert time.monotonic() < deadline, "the log is never empty"
            time.sleep(0.1)


def erase_under_load(client: Client, home: Path, redis_url: str, count: int, pause: float) -> dict[str, str]:
    """Erase customers one after the other while everything goes on; give their receipts by id."""
    receipts = {}
    with going_on(client, home, redis_url):
        for number in range(count):
            time.sleep(pause)
            name = customer_name(number)
            receipts[name] = client.erase_customer(name).receipt_id
        time.sleep(pause)
    return receipts


@pytest.mark.xdist_group("ledger")
@pytest.mark.parametrize(("count", "pause"), [(3, 0.3), pytest.param(20, 3.0, marks=pytest.mark.long)])
def test_nothing_is_left_of_customers_who_were_erased_under_load(count: int, pause: float, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    source = str(write_events(tmp_path / "events.parquet", customers=CUSTOMERS))
    run_dangol(home, "train", source, "--ranker", "blend", "--force")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisProcess(tmp_path / "redis"))
        run_dangol(home, "publish", "--redis-url", redis.url)
        server = stack.enter_context(ServerProcess(home, "server", redis.url, SERVER))
        stack.enter_context(WorkerProcess(home, "worker", redis.url, WORKER))
        client = stack.enter_context(Client(server.address, timeout=10.0, write_timeout=10.0))
        receipts = erase_under_load(client, home, redis.url, count, pause)
        wait_until_archived(redis.url)
        run_dangol(home, "erasures", "apply", "--redis-url", redis.url)
        run_dangol(home, "train", source, "--archive", "--ranker", "blend", "--force")
        run_dangol(home, "publish", "--redis-url", redis.url)
        archived = {entry.event.customer_id for page in Archive(str(home / "archive")).events() for entry in page}
        listed = [
            name
            for version in Registry(home / "models").versions()
            for table in Registry(home / "models").open(version).lists()
            for name in table.customer_ids
        ]
        with connect_blocking(patient(redis.url)) as connection:
            for name, receipt in receipts.items():
                told = run_dangol(home, "erasures", "verify", receipt, "--redis-url", redis.url, "--json")
                assert json.loads(told)["residues"] == {}
                assert keys_naming(connection, name) == []
                assert name not in archived
                assert name not in listed
    assert len(archived) == CUSTOMERS - count
    assert len(set(listed)) == CUSTOMERS - count
