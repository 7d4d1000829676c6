"""Turns the demo's tables into the catalogue that a shop would send: items, offers, audiences and placements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from cli.catalog_groups import KINDS, store
from cli.demo.data import CUT, DemoData
from dangol.client import Client
from dangol.v1.catalog_pb2 import Audience, Discount, Item, Money, Offer, Placement, PlainItems, Rebuys
from models.progress import Progress

COUPONS = "coupons"
"""The placement that shows coupons only."""

SHELF = "for-you"
"""The placement that plain items may fill."""

_CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class DemoCatalog:
    """Holds the catalogue; ``shift`` is how far the campaigns were moved so that the cut is now."""

    items: Sequence[Item]
    offers: Sequence[Offer]
    audiences: Sequence[Audience]
    placements: Sequence[Placement]
    now: datetime
    shift: timedelta

    def running(self) -> list[Offer]:
        """Give the offers of the campaigns that run at this moment."""
        seconds = self.now.timestamp()
        return [offer for offer in self.offers if offer.start_time.seconds <= seconds < offer.end_time.seconds]

    def targeted(self) -> list[str]:
        """Give the households that a running campaign is for."""
        running = {audience_id for offer in self.running() for audience_id in offer.audience_ids}
        members = (audience.customer_ids for audience in self.audiences if audience.audience_id in running)
        return sorted({customer_id for customer_ids in members for customer_id in customer_ids})

    def titles(self) -> dict[str, str]:
        """Give the name of every item."""
        return {item.item_id: item.title for item in self.items}


def build(data: DemoData, now: datetime) -> DemoCatalog:
    """Build the catalogue as of ``now``, which stands for the cut: whole days, so that offers still end at midnight."""
    shift = timedelta(days=(now - CUT).days)
    with duckdb.connect() as database:
        items = [_item(row) for row in database.execute(f"FROM {data.table('items')}").fetchall()]
        offers = [_offer(row, shift) for row in database.execute(f"FROM {data.table('offers')}").fetchall()]
        audiences = [
            Audience(audience_id=audience_id, customer_ids=customer_ids)
            for audience_id, customer_ids in database.execute(f"FROM {data.table('audiences')}").fetchall()
        ]
    placements = [
        Placement(placement=COUPONS, size=10, plain_items=PlainItems.PLAIN_ITEMS_REFUSED, rebuys=Rebuys.REBUYS_LATER),
        Placement(placement=SHELF, size=10, plain_items=PlainItems.PLAIN_ITEMS_ALLOWED, rebuys=Rebuys.REBUYS_LATER),
    ]
    return DemoCatalog(items, offers, audiences, placements, now, shift)


def upload(client: Client, catalog: DemoCatalog, progress: Progress) -> None:
    """Send the catalogue to the server, as a shop does."""
    batches = {
        "items": catalog.items,
        "audiences": catalog.audiences,
        "placements": catalog.placements,
        "offers": catalog.offers,
    }
    kinds = {kind.plural: kind for kind in KINDS}
    for plural, things in batches.items():
        store(client, kinds[plural], things, progress)


def _item(row: tuple[str, str, str, str, str, int | None]) -> Item:
    item_id, kind, package_size, brand, category, price_cents = row
    item = Item(item_id=item_id, title=_title(kind, brand, package_size), category=_words(category))
    if price_cents is not None:
        item.price.CopyFrom(_money(price_cents))
    return item


def _offer(row: tuple[str, str, list[str], int, datetime, datetime, list[str], str], shift: timedelta) -> Offer:
    offer_id, audience_id, item_ids, off_cents, start_time, end_time, kinds, brand = row
    offer = Offer(
        offer_id=offer_id,
        title=_offer_title(kinds, brand),
        item_ids=item_ids,
        discount=Discount(off_amount=_money(off_cents)),
        audience_ids=[audience_id],
    )
    offer.start_time.FromDatetime(start_time.replace(tzinfo=UTC) + shift)
    offer.end_time.FromDatetime(end_time.replace(tzinfo=UTC) + shift)
    return offer


def _money(cents: int) -> Money:
    return Money(minor_units=cents, currency_code=_CURRENCY)


def _title(kind: str, brand: str, package_size: str) -> str:
    size = " ".join(package_size.lower().split())
    parts = [_words(kind), "own brand" if brand == "Private" else "", size]
    return ", ".join(part for part in parts if part)


def _offer_title(kinds: Sequence[str], brand: str) -> str:
    named = " or ".join(_words(kind).lower() if place else _words(kind) for place, kind in enumerate(kinds[:2]))
    more = f" and {len(kinds) - 2} kinds more" if len(kinds) > 2 else ""
    return f"{named}{more}{', own brand' if brand == 'Private' else ''}"


def _words(shouted: str) -> str:
    """Write the till's capitals as people write: ``KIDS CEREAL`` → ``Kids cereal``."""
    text = " ".join(shouted.replace("/", " / ").replace(":", ": ").split()).lower().replace(" / ", "/")
    return text[:1].upper() + text[1:]
