"""Snapshots, customers and questions for tests of the decision."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

from models.candidates import CandidateList
from models.catalog import Catalog
from models.item_model import ItemModel
from models.offers import Audience, Item, Offer, Placement
from models.profile import EMPTY_PROFILE, Profile, ProfileEvent
from service.decision.query import Customer, Query, SlateQuery
from service.decision.slate import Choice, decide
from service.decision.snapshot import ServedModel, Snapshot, build_snapshot
from tests.models_fixtures import LAST_EVENT_TIME, item_id, item_model

NOW = datetime(2025, 7, 15, 12, tzinfo=UTC)
HOME = Placement("home-top")


def catalog(offers: Iterable[Offer] = (), items: Iterable[Item] = (), audiences: Iterable[Audience] = ()) -> Catalog:
    return Catalog(
        version=1,
        items={item.item_id: item for item in items},
        offers={offer.offer_id: offer for offer in offers},
        audiences={audience.audience_id: audience for audience in audiences},
    )


def snapshot(model: ItemModel | None = None, shop: Catalog | None = None) -> Snapshot:
    served = ServedModel(3, "20250630-abc", model or item_model(), LAST_EVENT_TIME.timestamp())
    return build_snapshot(shop or catalog(), served, NOW.timestamp(), None)


def customer(candidates: CandidateList | None = None, *events: ProfileEvent, customer_id: str = "ada") -> Customer:
    return Customer(customer_id, candidates, Profile(events) if events else EMPTY_PROFILE)


def did(event_type: str, row: int | None = None, time: datetime = NOW, offer_id: str = "") -> ProfileEvent:
    return ProfileEvent(event_type, item_id(row) if row is not None else "", offer_id, time)


def slate_of(
    served: Snapshot, who: Customer, placement: Placement = HOME, size: int = 10, **rules: object
) -> list[Choice]:
    query = Query([SlateQuery(placement, size)], NOW.timestamp())._replace(**cast("dict[str, Any]", rules))
    return decide(served, query, who)[0]


def rows_of(choices: Iterable[Choice]) -> list[int]:
    return [int(choice.item_id.removeprefix("item-")) for choice in choices]


def offers_of(choices: Iterable[Choice]) -> list[str]:
    return [choice.offer.offer_id if choice.offer is not None else "" for choice in choices]
