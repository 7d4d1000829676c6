"""How long an offer is shown after it was paused, by any of several server processes.

Real processes throughout: Redis, servers, and a client of each that asks again and again. The offer is stored and
paused at one server after the other; what is measured is the time from before the pause is sent to the last answer of
any server that holds the offer.
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc

from benchmarks.harness.bed import running_bed
from benchmarks.harness.shop import PLACEMENT, customer_id, item_id, own_rows
from benchmarks.report import report
from dangol.v1 import catalog_pb2
from dangol.v1.catalog_service_pb2 import UpsertOffersRequest
from dangol.v1.catalog_service_pb2_grpc import CatalogServiceStub
from dangol.v1.offer_service_pb2 import RecommendOffersRequest
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub

_TIMEOUT = 10.0
_STEP = 0.002  # seconds between two answers of one server
_AFTERWARDS = 0.3  # seconds that are watched after every server has stopped showing the offer
_SETTINGS = {"log_calls": "false", "log_level": "warning"}
_OFFER = "watched"


class _Watcher(threading.Thread):
    """Asks one server until it is told to end; ``shown`` and ``hidden`` say when it last showed the offer, or not."""

    def __init__(self, channel: grpc.Channel) -> None:
        super().__init__(daemon=True)
        self._stub = OfferServiceStub(channel)
        self._request = RecommendOffersRequest(customer_id=customer_id(0), placements=[PLACEMENT])
        self.shown = self.hidden = 0.0
        self.ended = False

    def run(self) -> None:
        """Ask."""
        while not self.ended:
            (slate,) = self._stub.RecommendOffers(self._request, timeout=_TIMEOUT).slates
            if any(offer.offer_id == _OFFER for offer in slate.offers):
                self.shown = time.monotonic()
            else:
                self.hidden = time.monotonic()
            time.sleep(_STEP)


def main() -> None:
    """Measure and report."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as directory, ExitStack() as stack:
        bed = stack.enter_context(running_bed(Path(directory), servers=options.servers, settings=_SETTINGS))
        channels = [stack.enter_context(grpc.insecure_channel(server.address)) for server in bed.servers]
        watchers = [_Watcher(channel) for channel in channels]
        for watcher in watchers:
            watcher.start()
        catalogs = [CatalogServiceStub(channel) for channel in channels]
        delays = sorted(_pause(catalogs[step % len(catalogs)], watchers) for step in range(options.pauses))
        for watcher in watchers:
            watcher.ended = True
            watcher.join()
    report("catalog.pause-p50", round(statistics.median(delays) * 1_000, 1), "ms from pause to the last answer")
    report(
        "catalog.pause-p99",
        round(delays[len(delays) * 99 // 100] * 1_000, 1),
        f"ms from pause to the last answer that shows the offer, {len(delays)} pauses, {options.servers} processes",
        floor=1_000,
        goal=1_000,
    )


def _pause(catalog: CatalogServiceStub, watchers: Sequence[_Watcher]) -> float:
    """Store the offer, wait until every server shows it, pause it, and give for how long one was still shown."""
    _store(catalog, catalog_pb2.OFFER_STATUS_LIVE)
    begin = time.monotonic()
    _wait(lambda watcher: watcher.shown > begin, watchers)
    begin = time.monotonic()
    _store(catalog, catalog_pb2.OFFER_STATUS_PAUSED)
    _wait(lambda watcher: watcher.hidden > max(begin, watcher.shown), watchers)
    time.sleep(_AFTERWARDS)
    return max(0.0, max(watcher.shown for watcher in watchers) - begin)


def _store(catalog: CatalogServiceStub, status: catalog_pb2.OfferStatus.ValueType) -> None:
    items = [item_id("a", own_rows(0)[0])]
    offer = catalog_pb2.Offer(offer_id=_OFFER, item_ids=items, status=status, priority=1)
    catalog.UpsertOffers(UpsertOffersRequest(offers=[offer]), timeout=_TIMEOUT)


def _wait(condition: Callable[[_Watcher], bool], watchers: Sequence[_Watcher]) -> None:
    deadline = time.monotonic() + 2 * _TIMEOUT
    while not all(map(condition, watchers)):
        if time.monotonic() > deadline:
            msg = "a server does not follow the catalogue"
            raise RuntimeError(msg)
        time.sleep(_STEP)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pauses", type=int, default=200, help="how often the offer is paused")
    parser.add_argument("--servers", type=int, default=2, help="processes that serve")
    return parser.parse_args()


if __name__ == "__main__":
    main()
