"""The live part of the demo: a day of real purchases through the running service, and one answer after it."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import duckdb
from rich.console import Console

from cli.demo.ask import SLATE
from cli.demo.catalog import COUPONS
from cli.demo.data import CUT, DemoData
from cli.demo.server import bare_environment
from cli.interrupts import uninterrupted
from cli.publishing import RedisTarget, reaching
from cli.session import Session
from dangol.client import Client
from dangol.v1.event_pb2 import Event
from models.errors import UnavailableError
from models.progress import Progress
from service.store import keys
from service.store.connection import SyncConnection
from service.store.log_group import LogGroup

_BATCH = 500
_PATIENCE = 30.0
_LOOK = 0.002  # seconds between two looks whether the list has changed

_DAY = """
SELECT event_id, customer_id, item_id, epoch_us(event_time), quantity FROM read_parquet(?)
WHERE event_time >= ? AND event_time < ? ORDER BY event_time, event_id
"""


@dataclass(frozen=True, slots=True)
class LiveDay:
    """Tells what came of the day; times are seconds.

    ``next_answer`` is from the acknowledgement of the purchase to the end of the next call, ``fresh`` to the moment
    when the customer's candidates were made anew.
    """

    events: int
    recording: float
    applying: float
    customer_id: str
    item_id: str
    before: Sequence[str]
    after: Sequence[str]
    next_answer: float
    fresh: float


def live_day(
    redis_url: str, address: str, home: Path, customer_id: str, events: Sequence[Event], progress: Progress
) -> LiveDay:
    """Replay a day as if it ended now, and let a customer buy what is offered to them first; a worker must run.

    UnavailableError when the worker does not get through.
    """
    settings = RedisTarget(redis_url).settings(Session(home))
    with reaching(settings) as connection, Client(address, write_timeout=10.0) as client:
        begin = time.monotonic()
        with progress.stage("replaying a day", len(events)) as stage:
            batches = (events[start : start + _BATCH] for start in range(0, len(events), _BATCH))
            for answer in client.stream_events(batches):
                stage.advance(answer.recorded_count + answer.duplicate_count)
        recording = time.monotonic() - begin
        _wait_until_applied(connection, settings.tenant)
        applying = time.monotonic() - begin
        return _buy(client, connection, settings.tenant, customer_id, len(events), recording, applying)


def show_live_day(console: Console, day: LiveDay, titles: dict[str, str]) -> None:
    """Say what came of it."""
    console.print(
        f"[green]✓[/green] a day of {day.events:,} real purchases recorded in {day.recording:.1f} s; "
        f"{day.applying:.1f} s after its first event every list knew of it"
    )
    fresh = [item for item in day.after if item not in day.before]
    console.print(
        f"[green]✓[/green] household {day.customer_id} bought [bold]{titles.get(day.item_id, day.item_id)}[/bold]: "
        f"gone from the next answer, {day.next_answer * 1_000:.1f} ms later; "
        f"new candidates after {day.fresh * 1_000:.0f} ms"
    )
    if fresh:
        console.print(f"  [dim]now also offered: {', '.join(titles.get(item, item) for item in fresh)}[/dim]")


def events_of_day(data: DemoData) -> list[Event]:
    """Give the purchases of the day after the cut, moved so that the day ends now."""
    with duckdb.connect() as connection:
        rows = connection.execute(_DAY, [str(data.events), CUT, CUT + timedelta(days=1)]).fetchall()
    # Whole days, so that morning stays morning; what has not come yet today came yesterday.
    shift = (datetime.now(UTC) - CUT) // timedelta(days=1) * timedelta(days=1) - timedelta(days=1)
    events = []
    for event_id, customer_id, item_id, microseconds, quantity in rows:
        event = Event(event_id=f"day-{event_id}", customer_id=customer_id, event_type="purchase", item_id=item_id)
        event.event_time.FromMicroseconds(microseconds + shift // timedelta(microseconds=1))
        event.quantity = max(quantity or 0.0, 0.0)
        event.channel = "store"
        events.append(event)
    return events


def _buy(
    client: Client,
    connection: SyncConnection,
    tenant: str,
    customer_id: str,
    events: int,
    recording: float,
    applying: float,
) -> LiveDay:
    """Let the customer buy the first item offered, and look how soon that counts."""
    answer = client.recommend_offers(customer_id, COUPONS, page_size=SLATE, timeout=5.0)
    before = [offer.item_id for offer in answer.slates[0].offers]
    if not before:
        raise UnavailableError(f"household {customer_id} is offered nothing")
    key = keys.candidates_key(tenant, answer.served.generation, customer_id)
    old = connection.client.execute_command("GET", key)
    purchase = Event(event_id=str(uuid4()), customer_id=customer_id, event_type="purchase", item_id=before[0])
    purchase.event_time.GetCurrentTime()
    client.record_events([purchase])
    acknowledged = time.monotonic()
    client.recommend_offers(customer_id, COUPONS, page_size=SLATE, timeout=5.0)
    next_answer = time.monotonic() - acknowledged
    while connection.client.execute_command("GET", key) == old:
        if time.monotonic() > acknowledged + _PATIENCE:
            raise UnavailableError("the worker does not make candidates fresh")
        time.sleep(_LOOK)
    fresh = time.monotonic() - acknowledged
    after = client.recommend_offers(customer_id, COUPONS, page_size=SLATE, timeout=5.0).slates[0].offers
    items = [offer.item_id for offer in after]
    return LiveDay(events, recording, applying, customer_id, before[0], before, items, next_answer, fresh)


def _wait_until_applied(connection: SyncConnection, tenant: str) -> None:
    group = LogGroup(connection, tenant, "")
    deadline = time.monotonic() + _PATIENCE
    while any(lag.waiting or lag.pending for lag in group.lags()):
        if time.monotonic() > deadline:
            raise UnavailableError("the worker does not keep up with a day of purchases")
        time.sleep(0.02)


@contextmanager
def running_worker(home: Path, redis_url: str) -> Iterator[None]:
    """Run a real ``dangol worker`` as long as the context."""
    command = [sys.executable, "-m", "cli.main", "--home", str(home), "worker", "--metrics-listen", "off"]
    with (home / "worker.log").open("wb") as log, uninterrupted():
        # A session of its own: Ctrl-C in the terminal reaches the demo alone, which then ends the worker.
        process = subprocess.Popen(  # noqa: S603 - this very program, without a shell
            [*command, "--redis-url", redis_url],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=bare_environment(),
            start_new_session=True,
        )
    try:
        yield
    finally:
        with uninterrupted():
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
