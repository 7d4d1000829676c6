"""Catalogue messages ↔ domain, each field checked on its way in."""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.offers import (
    DEFAULT_PLACEMENT_SIZE,
    MAXIMAL_PLACEMENT_SIZE,
    AmountOff,
    Audience,
    Discount,
    Item,
    Money,
    NewPrice,
    Offer,
    OfferStatus,
    Placement,
    Rebuys,
    ShareOff,
)
from service.handlers.validation import (
    check,
    check_distinct,
    check_ids,
    check_kebabs,
    check_money,
    count_problem,
    id_problem,
    kebab_problem,
    range_problem,
    text_problem,
    time_problem,
)

MAXIMAL_BATCH = 10_000
_MAXIMAL_TITLE_BYTES = 512
_MAXIMAL_CATEGORY_BYTES = 256
_MAXIMAL_LABELS = 32
_MAXIMAL_ITEMS_PER_OFFER = 50_000
_MAXIMAL_CUSTOMERS_PER_AUDIENCE = 100_000

_STATUSES = {
    catalog_pb2.OFFER_STATUS_UNSPECIFIED: OfferStatus.LIVE,
    catalog_pb2.OFFER_STATUS_DRAFT: OfferStatus.DRAFT,
    catalog_pb2.OFFER_STATUS_LIVE: OfferStatus.LIVE,
    catalog_pb2.OFFER_STATUS_PAUSED: OfferStatus.PAUSED,
    catalog_pb2.OFFER_STATUS_ARCHIVED: OfferStatus.ARCHIVED,
}
_REBUYS = {
    catalog_pb2.REBUYS_UNSPECIFIED: Rebuys.LATER,
    catalog_pb2.REBUYS_LATER: Rebuys.LATER,
    catalog_pb2.REBUYS_ALLOWED: Rebuys.ALLOWED,
    catalog_pb2.REBUYS_REFUSED: Rebuys.REFUSED,
}
_PLAIN_ITEMS = {
    catalog_pb2.PLAIN_ITEMS_UNSPECIFIED: True,
    catalog_pb2.PLAIN_ITEMS_ALLOWED: True,
    catalog_pb2.PLAIN_ITEMS_REFUSED: False,
}
# The first name that stands for a value is UNSPECIFIED; a later one wins, so that answers are always specific.
_STATUS_MESSAGES = {status: number for number, status in _STATUSES.items()}
_REBUYS_MESSAGES = {rebuys: number for number, rebuys in _REBUYS.items()}
_PLAIN_ITEMS_MESSAGES = {allowed: number for number, allowed in _PLAIN_ITEMS.items()}


def items_from(messages: Sequence[catalog_pb2.Item]) -> list[Item]:
    """Read a batch of items. InvalidInputError names the field, such as ``items[3].price.currency_code``."""
    check("items", count_problem(len(messages), 1, MAXIMAL_BATCH))
    items = [_item_from(message, f"items[{index}]") for index, message in enumerate(messages)]
    check_distinct("items", [item.item_id for item in items], ".item_id")
    return items


def offers_from(messages: Sequence[catalog_pb2.Offer]) -> list[Offer]:
    """Read a batch of offers. InvalidInputError names the field."""
    check("offers", count_problem(len(messages), 1, MAXIMAL_BATCH))
    offers = [_offer_from(message, f"offers[{index}]") for index, message in enumerate(messages)]
    check_distinct("offers", [offer.offer_id for offer in offers], ".offer_id")
    return offers


def placements_from(messages: Sequence[catalog_pb2.Placement]) -> list[Placement]:
    """Read a batch of placements. InvalidInputError names the field."""
    check("placements", count_problem(len(messages), 1, MAXIMAL_BATCH))
    placements = [_placement_from(message, f"placements[{index}]") for index, message in enumerate(messages)]
    check_distinct("placements", [placement.placement for placement in placements], ".placement")
    return placements


def audiences_from(messages: Sequence[catalog_pb2.Audience]) -> list[Audience]:
    """Read a batch of audiences. InvalidInputError names the field."""
    check("audiences", count_problem(len(messages), 1, MAXIMAL_BATCH))
    audiences = [_audience_from(message, f"audiences[{index}]") for index, message in enumerate(messages)]
    check_distinct("audiences", [audience.audience_id for audience in audiences], ".audience_id")
    return audiences


def item_message(item: Item) -> catalog_pb2.Item:
    """Write an item."""
    message = catalog_pb2.Item(item_id=item.item_id, title=item.title, category=item.category, labels=item.labels)
    if item.price is not None:
        message.price.CopyFrom(money_message(item.price))
    return message


def offer_message(offer: Offer) -> catalog_pb2.Offer:
    """Write an offer."""
    message = catalog_pb2.Offer(
        offer_id=offer.offer_id,
        title=offer.title,
        item_ids=offer.item_ids,
        audience_ids=offer.audience_ids,
        channels=offer.channels,
        placements=offer.placements,
        priority=offer.priority,
        status=_STATUS_MESSAGES[offer.status],
        labels=offer.labels,
    )
    if offer.discount is not None:
        message.discount.CopyFrom(discount_message(offer.discount))
    if offer.start_time is not None:
        message.start_time.FromDatetime(offer.start_time)
    if offer.end_time is not None:
        message.end_time.FromDatetime(offer.end_time)
    return message


def placement_message(placement: Placement) -> catalog_pb2.Placement:
    """Write a placement."""
    return catalog_pb2.Placement(
        placement=placement.placement,
        size=placement.size,
        plain_items=_PLAIN_ITEMS_MESSAGES[placement.plain_items],
        rebuys=_REBUYS_MESSAGES[placement.rebuys],
    )


def audience_message(audience: Audience) -> catalog_pb2.Audience:
    """Write an audience, its members in order."""
    return catalog_pb2.Audience(audience_id=audience.audience_id, customer_ids=sorted(audience.customer_ids))


def money_message(money: Money) -> catalog_pb2.Money:
    """Write an amount."""
    return catalog_pb2.Money(minor_units=money.minor_units, currency_code=money.currency_code)


def discount_message(discount: Discount) -> catalog_pb2.Discount:
    """Write a discount."""
    match discount:
        case ShareOff(basis_points):
            return catalog_pb2.Discount(off_basis_points=basis_points)
        case AmountOff(amount):
            return catalog_pb2.Discount(off_amount=money_message(amount))
        case NewPrice(price):
            return catalog_pb2.Discount(new_price=money_message(price))


def money_from(message: catalog_pb2.Money, field: str) -> Money:
    """Read an amount that may not be negative."""
    check_money(field, message)
    return Money(message.minor_units, message.currency_code)


def time_from(message: Timestamp, field: str) -> datetime:
    """Read a time, UTC and aware; below microseconds it is cut off."""
    check(field, time_problem(message))
    return message.ToDatetime(tzinfo=UTC)


def _item_from(message: catalog_pb2.Item, field: str) -> Item:
    check(f"{field}.item_id", id_problem(message.item_id))
    check(f"{field}.title", text_problem(message.title, _MAXIMAL_TITLE_BYTES))
    check(f"{field}.category", text_problem(message.category, _MAXIMAL_CATEGORY_BYTES))
    return Item(
        item_id=message.item_id,
        title=message.title,
        category=message.category,
        price=money_from(message.price, f"{field}.price") if message.HasField("price") else None,
        labels=_labels(message.labels, field),
    )


def _offer_from(message: catalog_pb2.Offer, field: str) -> Offer:
    check(f"{field}.offer_id", id_problem(message.offer_id))
    check(f"{field}.title", text_problem(message.title, _MAXIMAL_TITLE_BYTES))
    check_ids(f"{field}.item_ids", message.item_ids, 1, _MAXIMAL_ITEMS_PER_OFFER)
    check_distinct(f"{field}.item_ids", message.item_ids)
    check_ids(f"{field}.audience_ids", message.audience_ids, 0, MAXIMAL_BATCH)
    check_kebabs(f"{field}.channels", message.channels, 32)
    check_kebabs(f"{field}.placements", message.placements)
    check(f"{field}.priority", range_problem(message.priority, -1000, 1000))
    if message.status not in _STATUSES:
        raise InvalidInputError(f"{field}.status", "is not a status that this server knows")
    start = time_from(message.start_time, f"{field}.start_time") if message.HasField("start_time") else None
    end = time_from(message.end_time, f"{field}.end_time") if message.HasField("end_time") else None
    if start is not None and end is not None and start >= end:
        raise InvalidInputError(f"{field}.end_time", "is not after start_time")
    return Offer(
        offer_id=message.offer_id,
        item_ids=tuple(message.item_ids),
        title=message.title,
        discount=_discount_from(message.discount, f"{field}.discount") if message.HasField("discount") else None,
        start_time=start,
        end_time=end,
        audience_ids=tuple(message.audience_ids),
        channels=tuple(message.channels),
        placements=tuple(message.placements),
        priority=message.priority,
        status=_STATUSES[message.status],
        labels=_labels(message.labels, field),
    )


def _discount_from(message: catalog_pb2.Discount, field: str) -> Discount:
    match message.WhichOneof("kind"):
        case "off_basis_points":
            check(f"{field}.off_basis_points", range_problem(message.off_basis_points, 1, 10_000))
            return ShareOff(message.off_basis_points)
        case "off_amount":
            return AmountOff(money_from(message.off_amount, f"{field}.off_amount"))
        case "new_price":
            return NewPrice(money_from(message.new_price, f"{field}.new_price"))
        case _:
            raise InvalidInputError(field, "says neither off_basis_points nor off_amount nor new_price")


def _placement_from(message: catalog_pb2.Placement, field: str) -> Placement:
    check(f"{field}.placement", kebab_problem(message.placement))
    check(f"{field}.size", range_problem(message.size, 0, MAXIMAL_PLACEMENT_SIZE))
    if message.plain_items not in _PLAIN_ITEMS:
        raise InvalidInputError(f"{field}.plain_items", "is not a rule that this server knows")
    if message.rebuys not in _REBUYS:
        raise InvalidInputError(f"{field}.rebuys", "is not a rule that this server knows")
    return Placement(
        placement=message.placement,
        size=message.size or DEFAULT_PLACEMENT_SIZE,
        plain_items=_PLAIN_ITEMS[message.plain_items],
        rebuys=_REBUYS[message.rebuys],
    )


def _audience_from(message: catalog_pb2.Audience, field: str) -> Audience:
    check(f"{field}.audience_id", id_problem(message.audience_id))
    check_ids(f"{field}.customer_ids", message.customer_ids, 0, _MAXIMAL_CUSTOMERS_PER_AUDIENCE)
    check_distinct(f"{field}.customer_ids", message.customer_ids)
    return Audience(message.audience_id, frozenset(message.customer_ids))


def _labels(labels: Sequence[str], field: str) -> tuple[str, ...]:
    check(f"{field}.labels", count_problem(len(labels), 0, _MAXIMAL_LABELS))
    check_kebabs(f"{field}.labels", labels)
    return tuple(labels)
