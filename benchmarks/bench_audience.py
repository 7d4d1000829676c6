"""How soon the best of a million customers are found, and that they are those of brute force.

A server answers FindAudience over gRPC for an offer on five items, with an audience left out, and for an offer on
everything. Brute force looks at every list of the artifact. The first question reads all lists out of Redis; what
single pages notice of that is measured beside it. ``--customers`` makes the shop smaller.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.harness.servers import Server, running_server
from benchmarks.report import report
from benchmarks.shop import customer_id, item_id, publish_shop
from dangol.client import Client
from dangol.v1.audience_service_pb2 import AudienceSummary
from dangol.v1.catalog_pb2 import Audience, ItemFilter, Offer, Placement
from models.registry import Registry
from service.store.candidate_codec import digest_of
from service.store.embedded import EmbeddedRedis

ITEMS = 10_000
WANTED = 10_000
ROUNDS = 9
ROWS = (11, 2_011, 4_011, 6_011, 8_011)
MAILED_STEP = 10
"""Of so many customers one is in the audience that is left out."""
PAGES_PER_SECOND = 100
BOUND = 2.0
"""Seconds that the issue of this service gives it."""

Customers = list[tuple[str, float]]


def ask(client: Client, offer_id: str, maximal_age: timedelta | None = None) -> tuple[Customers, AudienceSummary]:
    """Ask for an audience, and give it with the summary."""
    found: Customers = []
    summary = AudienceSummary()
    for response in client.find_audience(
        "mail", offer_id=offer_id, limit=WANTED, excluded_audience_ids=["mailed"], maximal_age=maximal_age
    ):
        found += ((one.customer_id, one.score) for one in response.batch.customers)
        summary = response.summary
    return found, summary


def brute_force(registry: Registry, rows: Sequence[int] | None, mailed: frozenset[str]) -> Customers:
    """Look at every list, and give the best customers: each by the best of the items, None for all items."""
    artifact = registry.open(registry.versions()[0])
    found = []
    for table in artifact.lists():
        asked = np.isin(table.candidates["row"], rows) if rows is not None else table.candidates["row"] >= 0
        asked &= np.arange(asked.shape[1]) < table.counts[:, np.newaxis]
        scores = np.where(asked, table.candidates["score"].astype(np.float32), -np.inf).max(axis=1)
        for place in np.flatnonzero(asked.any(axis=1)).tolist():
            name = table.customer_ids[place]
            if name not in mailed:
                found.append((-float(scores[place]), int.from_bytes(digest_of(name), "little"), name))
    return [(name, -score) for score, _, name in sorted(found)[:WANTED]]


def seconds_of(work: Callable[[], object]) -> float:
    """Time some work on the wall clock."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@contextmanager
def pages(address: str, milliseconds: list[float]) -> Iterator[None]:
    """Ask for single pages all the while, at a steady pace, and write down how long each took."""
    ended = threading.Event()

    def ask_for_pages() -> None:
        with Client(address) as client:
            number = 0
            while not ended.wait(1 / PAGES_PER_SECOND):
                number += 1
                ask_for_page = partial(client.recommend_offers, customer_id(number), "default")
                milliseconds.append(1_000 * seconds_of(ask_for_page))

    thread = threading.Thread(target=ask_for_pages)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure_answers(client: Client, registry: Registry, mailed: frozenset[str]) -> None:
    """Measure what is found for the offer on five items and for the one on everything, and compare."""
    for offer_id, rows, bound in (("five", ROWS, BOUND), ("everything", None, None)):
        expected = brute_force(registry, rows, mailed)
        seconds, summary = [], AudienceSummary()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            found, summary = ask(client, offer_id)
            seconds.append(time.perf_counter() - start)
            if found != expected:
                raise AssertionError(f"brute force finds others for {offer_id}")
        report(
            f"audience.top-{WANTED}-on-{offer_id}",
            round(statistics.median(seconds), 3),
            f"s for {len(found):,} of {summary.candidate_count:,} customers, {summary.considered_count:,} looked at; "
            f"the slowest of {ROUNDS} {max(seconds):.3f}",
            floor=bound,
            goal=bound,
        )
        report(
            f"audience.differences-on-{offer_id}", 0, "customers or scores other than brute force's", floor=0, goal=0
        )


def measure_reading(client: Client, server: Server, customers: int) -> None:
    """Measure the first question, and what pages notice while lists are read again."""
    before = server.memory()
    first = seconds_of(lambda: ask(client, "five"))
    report("audience.first-question", round(first, 2), f"s, the lists of {customers:,} customers read for it")
    report("audience.memory", round((server.memory() - before) / customers, 1), "bytes of the server per customer")
    quiet: list[float] = []
    with pages(server.address, quiet):
        time.sleep(5)
    busy: list[float] = []
    time.sleep(1)
    with pages(server.address, busy):
        ask(client, "five", maximal_age=timedelta(seconds=1))
    for name, values in (("before", quiet), ("while-lists-are-read", busy)):
        report(f"audience.page-p99-{name}", round(float(np.percentile(values, 99)), 1), f"ms of {len(values)} pages")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    customers = parser.parse_args().customers
    mailed = frozenset(customer_id(number) for number in range(0, customers, MAILED_STEP))
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder) / "redis") as redis:
        directory = Path(folder)
        publish_shop(redis.url, directory, customers, ITEMS, offers=0)
        registry = Registry(directory / "models")
        settings = {"read_timeout": 1.0, "log_calls": False}
        with (
            running_server(directory / "server", redis.url, **settings) as server,
            Client(server.address, timeout=30) as client,
        ):
            client.upsert_placements([Placement(placement="mail")])
            client.upsert_audiences([Audience(audience_id="mailed", customer_ids=mailed)])
            five = Offer(offer_id="five", item_ids=[item_id(row) for row in ROWS])
            client.upsert_offers([five, Offer(offer_id="everything", item_filter=ItemFilter())])
            measure_reading(client, server, customers)
            measure_answers(client, registry, mailed)


if __name__ == "__main__":
    main()
