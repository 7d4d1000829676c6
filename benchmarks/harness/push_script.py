"""What happens to a shop in the simulated week: who does what when, drawn from a seed, and what the catalogue becomes.

Customers live in zones of all kinds, some of which change their clocks in that week; most agree to be pushed to, some
take that back, some are erased, some turn out to be known under a second id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from models.catalog import CatalogChange
from models.events import CART, CLICK, DISMISS, PURCHASE, SEARCH, VIEW, Event
from models.offers import Item, Offer, OfferStatus, ShareOff
from models.triggers import Trigger, TriggerKind, TriggerStatus

DAY = 86_400.0
DAYS = 7
ITEMS = 400
ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Kyiv",
    "Asia/Jerusalem",
    "Asia/Beirut",
    "America/Nuuk",
    "Antarctica/Troll",
    "America/St_Johns",
    "America/New_York",
    "Asia/Kathmandu",
    "Asia/Seoul",
    "Pacific/Chatham",
    "",
)
"""The first seven change their clocks in either week, Nuuk on a Saturday evening and Troll by two hours."""

TRIGGERS = (
    Trigger("price-cut", TriggerKind.DISCOUNT, cooldown=2 * 86_400),
    Trigger("back-again", TriggerKind.BACK_IN_STOCK, cooldown=86_400),
    Trigger("cart-reminder", TriggerKind.ABANDONED_CART, priority=5, delay=7_200, cooldown=86_400),
    Trigger("last-chance", TriggerKind.OFFER_ENDING, cooldown=2 * 86_400),
    Trigger("time-again", TriggerKind.NEXT_PURCHASE, priority=-1),
)


@dataclass(frozen=True, slots=True)
class Said:
    """Is what a customer says of consent, and in which zone they live from then on."""

    customer_id: str
    granted: bool
    time_zone: str


@dataclass(frozen=True, slots=True)
class Linked:
    """Says that two ids are one customer."""

    customer_id: str
    alias_id: str


@dataclass(frozen=True, slots=True)
class Erased:
    """Says that a customer is erased, under all of their ids."""

    customer_id: str


Act = Event | Said | Linked | Erased | CatalogChange
"""Is one thing that happens."""


def first_day(year: int, month: int) -> float:
    """Give the Wednesday, 0:00 UTC, before the last Sunday of March or October, when many clocks change."""
    last = datetime(year, month, 31, tzinfo=UTC)
    sunday = last - timedelta(days=(last.weekday() + 1) % 7)
    return (sunday - timedelta(days=4)).timestamp()


def item_name(number: int) -> str:
    """Name an item as the published model does."""
    return f"item-{number:06d}"


def script(customers: int, start: float, seed: int) -> list[tuple[float, Act]]:
    """Give everything that happens, with when it reaches the shop, in order."""
    draw = np.random.default_rng(seed)
    acts: list[tuple[float, Act]] = [(start - DAY * 40, _first_catalog())]
    acts += _catalog_acts(draw, start)
    for number in range(customers):
        acts += _life(np.random.default_rng((seed, number)), number, start)
    return sorted(acts, key=lambda one: one[0])


def _first_catalog() -> CatalogChange:
    items = [Item(item_name(number), f"Item {number}", f"category-{number % 20}") for number in range(ITEMS)]
    return CatalogChange(items=tuple(items), triggers=TRIGGERS)


def _catalog_acts(draw: np.random.Generator, start: float) -> Iterator[tuple[float, CatalogChange]]:
    for number in range(80):
        begin = start + draw.uniform(-1, DAYS - 1) * DAY
        items = tuple(item_name(int(one)) for one in draw.choice(ITEMS, 6, replace=False))
        offer = Offer(
            f"offer-{number:03d}",
            items,
            discount=ShareOff(int(draw.integers(5, 50)) * 100),
            start_time=datetime.fromtimestamp(begin, UTC),
            end_time=datetime.fromtimestamp(begin + draw.uniform(0.5, 4) * DAY, UTC),
        )
        yield begin - DAY / 2, CatalogChange(offers=(offer,))
        if draw.random() < 0.2:
            paused = Offer(offer.offer_id, items, discount=offer.discount, status=OfferStatus.PAUSED)
            yield begin + draw.uniform(0, 1) * DAY, CatalogChange(offers=(paused,))
    for number in range(40):
        gone = start + draw.uniform(0, 3) * DAY
        yield gone, CatalogChange(deleted_item_ids=(item_name(number),))
        yield gone + draw.uniform(0.5, 3) * DAY, CatalogChange(items=(Item(item_name(number), f"Item {number}"),))
    off = Trigger("last-chance", TriggerKind.OFFER_ENDING, status=TriggerStatus.PAUSED)
    yield start + 4 * DAY, CatalogChange(triggers=(off,))
    yield start + 5 * DAY, CatalogChange(triggers=(TRIGGERS[3],))


def _life(draw: np.random.Generator, number: int, start: float) -> Iterator[tuple[float, Act]]:
    name, zone = f"customer-{number:08d}", ZONES[number % len(ZONES)]
    granted = draw.random() < 0.85
    yield start - 39 * DAY, Said(name, granted, zone)
    yield from _past(draw, name, start)
    names = [name]
    if draw.random() < 0.1:
        names.append(f"{'a' if draw.random() < 0.5 else 'x'}-device-{number}")
        yield start + draw.uniform(-1, DAYS) * DAY, Linked(name, names[1])
    if granted and draw.random() < 0.2:
        yield start + draw.uniform(0, DAYS) * DAY, Said(name, granted=False, time_zone=zone)
    elif draw.random() < 0.1:
        other = ZONES[int(draw.integers(len(ZONES)))]
        yield start + draw.uniform(0, DAYS) * DAY, Said(name, granted, other)
    gone = start + draw.uniform(0, DAYS) * DAY if draw.random() < 0.02 else None
    if gone is not None:
        yield gone, Erased(name)
    hour = int(draw.integers(24))
    for visit in range(int(draw.poisson(1.2 * DAYS))):
        yield from _visit(draw, names, f"{number}-{visit}", _moment(draw, start, zone, hour))


def _moment(draw: np.random.Generator, start: float, zone: str, hour: int) -> float:
    """Give a time in the week, around the customer's hour by their own clock."""
    day = datetime.fromtimestamp(start, ZoneInfo(zone or "UTC")) + timedelta(days=int(draw.integers(DAYS)))
    return day.replace(hour=hour, minute=0).timestamp() + draw.normal(0, 3_600)


def _past(draw: np.random.Generator, name: str, start: float) -> Iterator[tuple[float, Act]]:
    """Let customers buy at a pace of their own before the week begins."""
    pause = draw.uniform(3, 12)
    for back in range(1, 4):
        time = start - DAY * pause * back + draw.uniform(0, 4) * DAY
        yield start - 38 * DAY, _event(f"{name}-past-{back}", name, PURCHASE, time, int(draw.integers(ITEMS)))


def _visit(draw: np.random.Generator, names: list[str], visit: str, time: float) -> Iterator[tuple[float, Act]]:
    name = names[int(draw.integers(len(names)))]
    late = 3_600.0 if draw.random() < 0.05 else 0.0
    steps: list[tuple[str, int, str]] = []
    for item in (draw.random(int(draw.integers(1, 4))) ** 2 * ITEMS).astype(int).tolist():
        steps.append((SEARCH if draw.random() < 0.2 else VIEW, item, ""))
        if draw.random() < 0.35:
            steps.append((CART, item, ""))
            if draw.random() < 0.5:
                steps.append((PURCHASE, item, ""))
        elif draw.random() < 0.05:
            steps.append((DISMISS, item, ""))
    if draw.random() < 0.2:
        steps.append((CLICK, int(draw.integers(ITEMS)), f"offer-{int(draw.integers(80)):03d}"))
    for place, (kind, item, offer) in enumerate(steps):
        when = time + 60 * place
        yield when + late, _event(f"{visit}-{place}", name, kind, when, item, offer)


def _event(event_id: str, name: str, kind: str, time: float, item: int, offer: str = "") -> Event:
    return Event(event_id, name, kind, datetime.fromtimestamp(time, UTC), item_id=item_name(item), offer_id=offer)
