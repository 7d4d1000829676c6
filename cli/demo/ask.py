"""Asks the running server over gRPC: slates to show, slates of everyone to compare, and how long answers take."""

import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from cli.demo.catalog import COUPONS, DemoCatalog
from cli.demo.households import Purchases
from dangol.client import Client, NotFoundError
from dangol.v1.offer_service_pb2 import RankedOffer, RecommendOffersResponse
from models.errors import UnavailableError
from models.progress import Progress

SLATE = 10
CALLS = 400
_BATCH = 500
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Says how many of the coupons shown were for something that the household then bought.

    ``bought`` counts coupons whose item was bought, ``bought_of_offer`` those of which any item was; the popular ones
    are the same counts for the coupons on what most households had bought lately.
    """

    households: int
    shown: int
    bought: int
    bought_of_offer: int
    popular_shown: int
    popular_bought: int
    popular_bought_of_offer: int


@dataclass(frozen=True, slots=True)
class Latencies:
    """Holds what one caller saw, in milliseconds, over ``calls`` calls one after another."""

    calls: int
    median: float
    slowest_hundredth: float


def wait_for_catalog(client: Client, customer_id: str) -> None:
    """Wait until the server has taken the catalogue in. UnavailableError when it never does."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            if client.recommend_offers(customer_id, COUPONS, timeout=5.0).slates[0].offers:
                return
        except NotFoundError:
            pass
        time.sleep(0.05)
    raise UnavailableError("the server did not take the catalogue in")


def slates_of(client: Client, customer_ids: Sequence[str]) -> dict[str, RecommendOffersResponse]:
    """Ask for each household, with every reason."""
    return {
        customer_id: client.recommend_offers(customer_id, COUPONS, page_size=SLATE, explain=True, timeout=5.0)
        for customer_id in customer_ids
    }


def measure(client: Client, customer_ids: Sequence[str], progress: Progress) -> Latencies:
    """Time calls one after another, each for another household."""
    for customer_id in customer_ids[:20]:
        client.recommend_offers(customer_id, COUPONS)
    milliseconds: list[float] = []
    with progress.stage("timing calls", CALLS) as stage:
        for call in range(CALLS):
            begin = time.perf_counter()
            client.recommend_offers(customer_ids[call % len(customer_ids)], COUPONS)
            milliseconds.append((time.perf_counter() - begin) * 1000)
            stage.advance()
    milliseconds.sort()
    return Latencies(CALLS, milliseconds[CALLS // 2], milliseconds[CALLS * 99 // 100])


def compare(client: Client, catalog: DemoCatalog, purchases: Purchases, progress: Progress) -> Comparison:
    """Ask for every targeted household and count what it then bought, beside coupons on what sold most lately."""
    offer_items = {offer.offer_id: frozenset(offer.item_ids) for offer in catalog.offers}
    popular = _Popular(catalog, purchases)
    customer_ids = [household.customer_id for household in purchases.households]
    model, trivial, shown = [0, 0, 0], [0, 0, 0], 0
    with progress.stage("asking for every household", len(customer_ids)) as stage:
        for start in range(0, len(customer_ids), _BATCH):
            batch = customer_ids[start : start + _BATCH]
            response = client.batch_recommend_offers(batch, COUPONS, page_size=SLATE, timeout=30.0)
            for answer in response.customer_slates:
                bought = purchases.later.get(answer.customer_id, frozenset())
                _count(model, [(offer.item_id, offer.offer_id) for offer in answer.slate.offers], bought, offer_items)
                _count(trivial, popular.slate(answer.customer_id), bought, offer_items)
                shown += 1
            stage.advance(len(batch))
    return Comparison(shown, *model, *trivial)


def _count(
    counts: list[int],
    slate: Sequence[tuple[str, str]],
    bought: Set[str],
    offer_items: Mapping[str, frozenset[str]],
) -> None:
    for item_id, offer_id in slate:
        counts[0] += 1
        counts[1] += item_id in bought
        counts[2] += not bought.isdisjoint(offer_items[offer_id])


class _Popular:
    """Gives each household the coupons on what most households bought in the 30 days before the cut."""

    def __init__(self, catalog: DemoCatalog, purchases: Purchases) -> None:
        buyers = purchases.recent_buyers
        self._by_audience: dict[str, list[tuple[int, str, str]]] = {}
        self._audiences: dict[str, list[str]] = {}
        for offer in catalog.running():
            best = max(offer.item_ids, key=lambda item_id: (buyers.get(item_id, 0), item_id))
            entry = (-buyers.get(best, 0), best, offer.offer_id)
            for audience_id in offer.audience_ids:
                self._by_audience.setdefault(audience_id, []).append(entry)
        for audience in catalog.audiences:
            for customer_id in audience.customer_ids:
                self._audiences.setdefault(customer_id, []).append(audience.audience_id)

    def slate(self, customer_id: str) -> list[tuple[str, str]]:
        """Give (item, offer) pairs, no item twice."""
        entries = [
            entry
            for audience_id in self._audiences.get(customer_id, ())
            for entry in self._by_audience.get(audience_id, ())
        ]
        slate: dict[str, str] = {}
        for _, item_id, offer_id in sorted(entries):
            slate.setdefault(item_id, offer_id)
            if len(slate) == SLATE:
                break
        return list(slate.items())


def bought_mark(offer: RankedOffer, bought: Set[str], offer_items: frozenset[str]) -> str:
    """Mark what the household then bought: the item shown, another item of the same coupon, or neither."""
    if offer.item_id in bought:
        return "✓"
    return "·" if bought.isdisjoint(offer_items) else "(✓)"
