"""Catalogue messages ↔ domain, each field checked on its way in."""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.offers import (
    DEFAULT_PLACEMENT_SIZE,
    MAXIMAL_PLACEMENT_SIZE,
    Audience,
    Item,
    Offer,
    OfferStatus,
    Placement,
    Rebuys,
)
from models.policy import PLAIN_POLICY
from models.quiet_hours import DEFAULT_QUIET_HOURS
from service.decision.conditions import check_condition
from service.handlers.cap_messages import cap_message, caps_from
from service.handlers.money_messages import discount_from, discount_message, money_from, money_message
from service.handlers.policy_messages import policy_from, policy_message
from service.handlers.terms_messages import (
    MAXIMAL_LABELS,
    budget_from,
    budget_message,
    cooldown_from,
    cooldown_message,
    filter_from,
    filter_message,
    hours_from,
    hours_message,
    quiet_hours_from,
    quiet_hours_message,
    representation_message,
    representations_from,
)
from service.handlers.validation import (
    check,
    check_distinct,
    check_ids,
    check_kebabs,
    count_problem,
    id_problem,
    kebab_problem,
    optional_kebab_problem,
    range_problem,
    text_problem,
    time_problem,
)

MAXIMAL_BATCH = 10_000
_MAXIMAL_TITLE_BYTES = 512
_MAXIMAL_CATEGORY_BYTES = 256
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
        representations=[representation_message(one, with_conditions=True) for one in offer.representations],
        weekly_hours=map(hours_message, offer.weekly_hours),
        consent_category=offer.consent_category,
        fallback=offer.fallback,
        caps=map(cap_message, offer.caps),
        eligibility=offer.eligibility,
        etag=offer.etag,
    )
    if offer.discount is not None:
        message.discount.CopyFrom(discount_message(offer.discount))
    if offer.start_time is not None:
        message.start_time.FromDatetime(offer.start_time)
    if offer.end_time is not None:
        message.end_time.FromDatetime(offer.end_time)
    if offer.item_filter is not None:
        message.item_filter.CopyFrom(filter_message(offer.item_filter))
    if offer.value is not None:
        message.value.CopyFrom(money_message(offer.value))
    if offer.cooldown is not None:
        message.cooldown.CopyFrom(cooldown_message(offer.cooldown))
    if offer.budget is not None:
        message.budget.CopyFrom(budget_message(offer.budget))
    return message


def placement_message(placement: Placement) -> catalog_pb2.Placement:
    """Write a placement."""
    message = catalog_pb2.Placement(
        placement=placement.placement,
        size=placement.size,
        plain_items=_PLAIN_ITEMS_MESSAGES[placement.plain_items],
        rebuys=_REBUYS_MESSAGES[placement.rebuys],
        etag=placement.etag,
    )
    if placement.policy != PLAIN_POLICY:
        message.policy.CopyFrom(policy_message(placement.policy))
    if placement.quiet_hours != DEFAULT_QUIET_HOURS:
        message.quiet_hours.CopyFrom(quiet_hours_message(placement.quiet_hours))
    return message


def audience_message(audience: Audience) -> catalog_pb2.Audience:
    """Write an audience, its members in order."""
    return catalog_pb2.Audience(audience_id=audience.audience_id, customer_ids=sorted(audience.customer_ids))


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
    _check_offer(message, field)
    start = time_from(message.start_time, f"{field}.start_time") if message.HasField("start_time") else None
    end = time_from(message.end_time, f"{field}.end_time") if message.HasField("end_time") else None
    if start is not None and end is not None and start >= end:
        raise InvalidInputError(f"{field}.end_time", "is not after start_time")
    given = message.HasField
    return Offer(
        offer_id=message.offer_id,
        item_ids=tuple(message.item_ids),
        title=message.title,
        discount=discount_from(message.discount, f"{field}.discount") if given("discount") else None,
        start_time=start,
        end_time=end,
        audience_ids=tuple(message.audience_ids),
        channels=tuple(message.channels),
        placements=tuple(message.placements),
        priority=message.priority,
        status=_STATUSES[message.status],
        labels=_labels(message.labels, field),
        item_filter=filter_from(message.item_filter, f"{field}.item_filter") if given("item_filter") else None,
        representations=representations_from(message.representations, f"{field}.representations"),
        weekly_hours=hours_from(message.weekly_hours, f"{field}.weekly_hours"),
        value=money_from(message.value, f"{field}.value") if given("value") else None,
        cooldown=cooldown_from(message.cooldown, f"{field}.cooldown") if given("cooldown") else None,
        consent_category=message.consent_category,
        fallback=message.fallback,
        budget=budget_from(message.budget, f"{field}.budget") if given("budget") else None,
        caps=caps_from(message.caps, f"{field}.caps"),
        eligibility=message.eligibility,
        etag=message.etag,
    )


def _check_offer(message: catalog_pb2.Offer, field: str) -> None:
    check(f"{field}.offer_id", id_problem(message.offer_id))
    check(f"{field}.title", text_problem(message.title, _MAXIMAL_TITLE_BYTES))
    if not (message.item_ids or message.HasField("item_filter") or message.fallback):
        raise InvalidInputError(f"{field}.item_ids", "is required where there is no item_filter")
    check_ids(f"{field}.item_ids", message.item_ids, 0, _MAXIMAL_ITEMS_PER_OFFER)
    check_distinct(f"{field}.item_ids", message.item_ids)
    check_ids(f"{field}.audience_ids", message.audience_ids, 0, MAXIMAL_BATCH)
    check_kebabs(f"{field}.channels", message.channels, 32)
    check_kebabs(f"{field}.placements", message.placements)
    check(f"{field}.priority", range_problem(message.priority, -1000, 1000))
    check(f"{field}.consent_category", optional_kebab_problem(message.consent_category))
    if message.eligibility:
        check_condition(f"{field}.eligibility", message.eligibility)
    if message.status not in _STATUSES:
        raise InvalidInputError(f"{field}.status", "is not a status that this server knows")
    if message.fallback:
        for name, given in (
            ("audience_ids", bool(message.audience_ids)),
            ("cooldown", message.HasField("cooldown")),
            ("consent_category", bool(message.consent_category)),
            ("budget", message.HasField("budget")),
            ("caps", bool(message.caps)),
            ("eligibility", bool(message.eligibility)),
        ):
            if given:
                raise InvalidInputError(f"{field}.{name}", "does not go with fallback, which is for everybody")


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
        policy=policy_from(message.policy, f"{field}.policy") if message.HasField("policy") else PLAIN_POLICY,
        quiet_hours=quiet_hours_from(message.quiet_hours, f"{field}.quiet_hours")
        if message.HasField("quiet_hours")
        else DEFAULT_QUIET_HOURS,
        etag=message.etag,
    )


def _audience_from(message: catalog_pb2.Audience, field: str) -> Audience:
    check(f"{field}.audience_id", id_problem(message.audience_id))
    check_ids(f"{field}.customer_ids", message.customer_ids, 0, _MAXIMAL_CUSTOMERS_PER_AUDIENCE)
    check_distinct(f"{field}.customer_ids", message.customer_ids)
    return Audience(message.audience_id, frozenset(message.customer_ids))


def _labels(labels: Sequence[str], field: str) -> tuple[str, ...]:
    check(f"{field}.labels", count_problem(len(labels), 0, MAXIMAL_LABELS))
    check_kebabs(f"{field}.labels", labels)
    return tuple(labels)
