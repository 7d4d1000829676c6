"""One decision over 100 candidates and 1,000 live offers against a bare numpy mask and top-k over the same arrays.

The decision checks caps and conditions, arbitrates, limits categories, diversifies, lets sink what was shown, and
explains. The bare one knows rows and numbers only: a mask over the same terms of the offers, the candidates' scores
spread over (offer, item) pairs and multiplied with the same factors, the ten best; nothing of what stands twice, of
likeness or of reasons. Customer by customer both answer in turns, in this process.

With a hundred times the offers on the same items, growth is of two kinds: more of the candidates carry an offer, and
there are more offers to find it among. The growth at equal density is of the second kind alone: the thousand offers
stand on a hundred times as many items each, so that in both shops an item carries 50.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import report
from models.candidates import CANDIDATE, NO_EVIDENCE, CandidateList, Source
from models.catalog import Catalog
from models.counters import bucket_of, counter_name
from models.customers import CustomerRecord
from models.item_model import EVERYONE, ItemModel
from models.offers import Item, Money, Offer, Placement, ShareOff
from models.policy import ContextWeight, Lever, Policy, Rotation, ScoreMode
from models.profile import Profile, ProfileEvent
from models.terms import Cap, CapPeriod, Cooldown, WeeklyHours
from models.vocabulary import Vocabulary
from service.decision.query import Customer, Query, SlateQuery
from service.decision.slate import Choice, decide
from service.decision.snapshot import ServedModel, Snapshot, build_snapshot

NOW = datetime(2025, 7, 15, 12, tzinfo=UTC)
ITEMS = 10_000
CANDIDATES = 100
SIZE = 10
ITEMS_PER_OFFER = 5
FLOOR, GOAL = 6.0, 3.0
GROWTH_BOUND = 1.3
POLICY = Policy(
    score_mode=ScoreMode.ARBITRATED,
    levers=(Lever("clearance", 50), Lever("own-brand", 10)),
    context_weights=(ContextWeight(20, channel="web", label="new"),),
    maximal_per_category=3,
    diversity_percent=20,
    rotation=Rotation(10),
)
PLACEMENT = Placement("home-top", SIZE, policy=POLICY)
CONDITIONS = {2: 'customer.text.tier == "gold"', 4: 'customer.text.tier == "gold" && item.price < 5000'}
PLAIN_PLACEMENT = Placement("home-top", SIZE)


@dataclass(frozen=True, slots=True)
class Bare:
    """Holds the shop as arrays: terms by offer, and the (offer, item) pairs."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    placements: NDArray[np.uint8]
    channels: NDArray[np.uint8]
    opening: NDArray[np.int64]
    closing: NDArray[np.int64]
    cools: NDArray[np.bool_]
    capped: NDArray[np.bool_]
    gold: NDArray[np.bool_]
    values: NDArray[np.float64]
    levers: NDArray[np.float64]
    contexts: NDArray[np.float64]
    pair_offers: NDArray[np.int64]
    pair_items: NDArray[np.int64]
    scores: NDArray[np.float64]

    def decide(self, rows: NDArray[np.int64], scores: NDArray[np.float16], known: "Known") -> NDArray[np.int64]:
        """Give the ten best pairs for a customer's candidates."""
        now, minute = NOW.timestamp(), 2_160
        may_show = (self.starts <= now) & (now < self.ends) & (self.placements & 1 != 0) & (self.channels & 1 != 0)
        may_show &= (self.opening <= minute) & (minute < self.closing)
        paused = np.zeros(len(may_show), dtype=bool)
        paused[known.seen] = True
        may_show &= ~(paused & (self.cools | self.capped))
        if not known.is_gold:
            may_show &= ~self.gold
        self.scores[rows] = scores
        self.scores[known.sunk] *= 0.9
        worth = self.scores[self.pair_items] * (self.values * self.levers * self.contexts * may_show)[self.pair_offers]
        self.scores[rows] = 0.0
        best = np.argpartition(-worth, SIZE)[:SIZE]
        return best[np.argsort(-worth[best])]


@dataclass(frozen=True, slots=True)
class Known:
    """Holds what is known of a customer: the offers and the rows of their impressions, and whether they are gold.

    Of the ``seen`` offers some pause and some have reached their cap; the ``sunk`` rows lose a tenth.
    """

    seen: NDArray[np.int64]
    sunk: NDArray[np.int64]
    is_gold: bool


def main() -> None:
    """Measure decisions over a thousand and over a hundred thousand offers."""
    options = _options()
    small, large = Shop(1_000), Shop(options.offers)
    ours, bare = _alternate(
        [lambda customer: small.decide(customer, PLACEMENT), small.decide_bare], small.customers, options.rounds
    )
    report("decision.time", round(ours, 1), "us", against=f"bare numpy mask and top-k: {bare:.1f} us",
           ratio=round(ours / bare, 2), floor=FLOOR, goal=GOAL)  # fmt: skip
    plain, _ = _alternate(
        [lambda customer: small.decide(customer, PLAIN_PLACEMENT), small.decide_bare], small.customers, options.rounds
    )
    report("decision.plain-time", round(plain, 1), "us", against=f"the same with a policy: {ours:.1f} us",
           ratio=round(plain / ours, 2))  # fmt: skip
    _report_growth("decision.growth", "1,000 offers", small, large, options.rounds)
    dense = Shop(1_000, ITEMS_PER_OFFER * options.offers // 1_000)
    _report_growth("decision.growth-at-equal-density", "1,000 offers, on as many items", dense, large, options.rounds)


def _report_growth(name: str, against: str, small: "Shop", large: "Shop", rounds: int) -> None:
    few, many = _alternate(
        [lambda customer: small.decide(customer, PLACEMENT), lambda customer: large.decide(customer, PLACEMENT)],
        small.customers,
        rounds,
    )
    report(name, round(many, 1), "us", against=f"{against}: {few:.1f} us", ratio=round(many / few, 3),
           floor=GROWTH_BOUND, goal=GROWTH_BOUND)  # fmt: skip


class Shop:
    """Is a shop of 10,000 items and any number of live offers, in memory."""

    def __init__(self, offers: int, items_per_offer: int = ITEMS_PER_OFFER) -> None:
        randomness = np.random.default_rng(7)
        self._offers = [_offer(number, items_per_offer, randomness) for number in range(offers)]
        self._snapshot = _snapshot(self._offers)
        self._bare = _bare(self._offers)
        self.customers = [_customer(number, randomness) for number in range(50)]
        self._known = {customer.customer_id: _known(customer) for customer in self.customers}

    def decide(self, customer: Customer, placement: Placement) -> list[Choice]:
        """Decide as the service does."""
        query = Query([SlateQuery(placement, SIZE)], NOW.timestamp(), channel="web")
        slate = decide(self._snapshot, query, customer)[0]
        if len(slate) != SIZE:
            msg = f"a slate holds {len(slate)} places"
            raise RuntimeError(msg)
        return slate

    def decide_bare(self, customer: Customer) -> NDArray[np.int64]:
        """Decide with numpy alone."""
        own = customer.candidates
        if own is None:
            msg = "every customer has candidates"
            raise RuntimeError(msg)
        known = self._known[customer.customer_id]
        return self._bare.decide(own.candidates["row"].astype(np.int64), own.candidates["score"], known)


def _alternate(
    deciders: Sequence[Callable[[Customer], object]], customers: Sequence[Customer], rounds: int
) -> list[float]:
    """Give for each way to decide the processor's microseconds for one customer: the median of rounds in turns."""
    times: list[list[float]] = [[] for _ in deciders]
    for round_number in range(rounds + 1):
        spent = [0.0] * len(deciders)
        for customer in customers:
            for place, decide_one in enumerate(deciders):
                start = time.process_time()  # of this process alone: whatever else the machine does is left out
                decide_one(customer)
                spent[place] += time.process_time() - start
        if round_number:  # the first round fills what is remembered
            for kept, seconds in zip(times, spent, strict=True):
                kept.append(seconds / len(customers) * 1e6)
    return [statistics.median(kept) for kept in times]


def _item_id(number: int) -> str:
    return f"item-{number:06d}"


def _offer(number: int, items: int, randomness: np.random.Generator) -> Offer:
    labels = ("clearance", "own-brand", "new", "other")
    return Offer(
        f"offer-{number:06d}",
        tuple(_item_id(row) for row in randomness.choice(ITEMS, items, replace=False)),
        title=f"Offer {number}",
        discount=ShareOff(1_500),
        start_time=NOW - timedelta(days=int(randomness.integers(1, 30))),
        end_time=NOW + timedelta(days=int(randomness.integers(1, 30))),
        placements=("home-top",) if number % 2 else (),
        channels=("web", "app") if number % 3 else ("push",),
        priority=int(randomness.integers(0, 5)),
        labels=(labels[number % 4],),
        weekly_hours=(WeeklyHours(),) if number % 5 == 0 else (),
        value=Money(int(randomness.integers(50, 500)), "EUR"),
        cooldown=Cooldown("impression", 86_400) if number % 4 == 0 else None,
        caps=(Cap(1, period=CapPeriod.DAY),) if number % 6 == 0 else (),
        eligibility=CONDITIONS.get(number % 7, ""),
    )


def _snapshot(offers: Sequence[Offer]) -> Snapshot:
    randomness = np.random.default_rng(8)
    everyone = np.zeros(CANDIDATES, dtype=CANDIDATE)
    everyone["row"], everyone["source"], everyone["evidence"] = np.arange(CANDIDATES), Source.POPULAR, NO_EVIDENCE
    everyone["score"] = np.linspace(1, 0.1, CANDIDATES)
    model = ItemModel(
        vocabulary=Vocabulary([_item_id(number) for number in range(ITEMS)]),
        popularity=np.linspace(1, 0, ITEMS, dtype=np.float32),
        neighbor_rows=randomness.integers(0, ITEMS, (ITEMS, 20), dtype=np.uint32),
        neighbor_scores=-np.sort(-randomness.random((ITEMS, 20), dtype=np.float32), axis=1),
        neighbor_counts=np.full(ITEMS, 20, dtype=np.uint16),
        shared_lists={EVERYONE: everyone},
    )
    items = {
        _item_id(number): Item(_item_id(number), f"Item {number}", f"category {number % 40}", Money(100, "EUR"))
        for number in range(ITEMS)
    }
    catalog = Catalog(1, items, {offer.offer_id: offer for offer in offers})
    return build_snapshot(catalog, ServedModel(1, "20250630-bench", model, 0.0), NOW.timestamp(), None)


def _bare(offers: Sequence[Offer]) -> Bare:
    return Bare(
        starts=np.array([offer.start_time.timestamp() if offer.start_time else 0.0 for offer in offers]),
        ends=np.array([offer.end_time.timestamp() if offer.end_time else np.inf for offer in offers]),
        placements=np.ones(len(offers), dtype=np.uint8),
        channels=np.array(["web" in offer.channels for offer in offers], dtype=np.uint8),
        opening=np.zeros(len(offers), dtype=np.int64),
        closing=np.full(len(offers), 10_080),
        cools=np.array([offer.cooldown is not None for offer in offers]),
        capped=np.array([bool(offer.caps) for offer in offers]),
        gold=np.array([bool(offer.eligibility) for offer in offers]),
        levers=np.array([1.5 if "clearance" in offer.labels else 1.0 for offer in offers]),
        contexts=np.array([1.2 if "new" in offer.labels else 1.0 for offer in offers]),
        values=np.array([offer.value.minor_units if offer.value else 100.0 for offer in offers]),
        pair_offers=np.repeat(np.arange(len(offers)), len(offers[0].item_ids)),
        pair_items=np.array([int(item_id[5:]) for offer in offers for item_id in offer.item_ids]),
        scores=np.zeros(ITEMS),
    )


def _customer(number: int, randomness: np.random.Generator) -> Customer:
    candidates = np.zeros(CANDIDATES, dtype=CANDIDATE)
    candidates["row"] = randomness.choice(ITEMS, CANDIDATES, replace=False)
    candidates["score"] = -np.sort(-randomness.random(CANDIDATES))
    candidates["source"] = Source.COLLABORATIVE
    candidates["evidence"] = np.arange(CANDIDATES) % 16
    events = [
        ProfileEvent(
            ("view", "impression", "purchase", "click")[step % 4],
            _item_id(int(randomness.integers(ITEMS))),
            f"offer-{int(randomness.integers(1_000)):06d}" if step % 2 else "",
            NOW - timedelta(hours=step),
        )
        for step in range(30)
    ]
    evidence = randomness.integers(0, ITEMS, 16, dtype=np.uint32)
    record = CustomerRecord(f"customer-{number}", attributes={"tier": "gold" if number % 2 else "silver"})
    today = bucket_of(CapPeriod.DAY, NOW.timestamp()).name
    counters = {
        counter_name(today, Cap(1).counter(event.offer_id)): 1
        for event in events
        if event.event_type == "impression" and event.offer_id
    }
    return Customer(record.customer_id, CandidateList(candidates, evidence), Profile(events), record, (), counters)


def _known(customer: Customer) -> Known:
    shown = [event for event in customer.profile.events if event.event_type == "impression"]
    offers = [int(event.offer_id[6:]) for event in shown if event.offer_id]
    is_gold = customer.record is not None and customer.record.attributes["tier"] == "gold"
    rows = [int(event.item_id[5:]) for event in shown]
    return Known(np.array(offers, dtype=np.int64), np.array(rows, dtype=np.int64), is_gold)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offers", type=int, default=100_000, help="of the large shop")
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


if __name__ == "__main__":
    main()
