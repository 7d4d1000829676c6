"""Offers and placements as JSON objects. docs/redis-layout.md describes them."""

import json
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from models.offers import (
    AmountOff,
    Discount,
    ItemFilter,
    Money,
    NewPrice,
    Offer,
    OfferStatus,
    Placement,
    Rebuys,
    ShareOff,
)
from models.policy import (
    PLAIN_POLICY,
    ContextWeight,
    Exploration,
    Factor,
    Lever,
    Pin,
    Policy,
    Promotion,
    Rotation,
    ScoreMode,
)
from models.quiet_hours import DEFAULT_QUIET_HOURS, QuietHours
from models.terms import Budget, Cap, CapEvent, CapPeriod, CapScope, Cooldown, Representation, WeeklyHours
from service.store.event_codec import decode_money, encode_money


def encode_offer(offer: Offer) -> dict[str, Any]:
    """Write an offer; what is empty is None, an empty text or an empty list."""
    return {
        "item_ids": list(offer.item_ids),
        "title": offer.title,
        "discount": None if offer.discount is None else _encode_discount(offer.discount),
        "start_time": None if offer.start_time is None else offer.start_time.isoformat(),
        "end_time": None if offer.end_time is None else offer.end_time.isoformat(),
        "audience_ids": list(offer.audience_ids),
        "channels": list(offer.channels),
        "placements": list(offer.placements),
        "priority": offer.priority,
        "status": offer.status.value,
        "labels": list(offer.labels),
        "item_filter": None if offer.item_filter is None else sparse(offer.item_filter),
        "representations": [_encode_representation(one) for one in offer.representations],
        "weekly_hours": [sparse(hours) for hours in offer.weekly_hours],
        "value": None if offer.value is None else encode_money(offer.value),
        "cooldown": None if offer.cooldown is None else sparse(offer.cooldown),
        "consent_category": offer.consent_category,
        "fallback": True if offer.fallback else None,
        "budget": None if offer.budget is None else sparse(offer.budget),
        "caps": [sparse(cap) for cap in offer.caps],
        "eligibility": offer.eligibility,
    }


def decode_offer(id_: str, record: dict[str, Any], etag: str) -> Offer:
    """Read an offer. ValueError, KeyError, TypeError or AttributeError when it is none."""
    start_time, end_time = record.get("start_time"), record.get("end_time")
    discount, item_filter = record.get("discount"), record.get("item_filter")
    value, cooldown, budget = record.get("value"), record.get("cooldown"), record.get("budget")
    return Offer(
        offer_id=id_,
        item_ids=tuple(record.get("item_ids", ())),
        title=record.get("title", ""),
        discount=None if discount is None else _decode_discount(discount),
        start_time=None if start_time is None else datetime.fromisoformat(start_time),
        end_time=None if end_time is None else datetime.fromisoformat(end_time),
        audience_ids=tuple(record.get("audience_ids", ())),
        channels=tuple(record.get("channels", ())),
        placements=tuple(record.get("placements", ())),
        priority=record["priority"],
        status=OfferStatus(record["status"]),
        labels=tuple(record.get("labels", ())),
        item_filter=None if item_filter is None else _decode_filter(item_filter),
        representations=tuple(_decode_representation(one) for one in record.get("representations", ())),
        weekly_hours=tuple(_decode_hours(hours) for hours in record.get("weekly_hours", ())),
        value=None if value is None else decode_money(value),
        cooldown=None if cooldown is None else Cooldown(cooldown["event_type"], cooldown["seconds"]),
        consent_category=record.get("consent_category", ""),
        fallback=bool(record.get("fallback", False)),
        budget=None if budget is None else Budget(**budget),
        caps=tuple(map(_decode_cap, record.get("caps", ()))),
        eligibility=record.get("eligibility", ""),
        etag=etag,
    )


def encode_placement(placement: Placement) -> dict[str, Any]:
    """Write a placement; its policy and quiet hours only where they say something."""
    return {
        "size": placement.size,
        "plain_items": placement.plain_items,
        "rebuys": placement.rebuys.value,
        "policy": sparse(placement.policy) or None,
        "quiet_hours": sparse(placement.quiet_hours) or None,
    }


def decode_placement(id_: str, record: dict[str, Any], etag: str) -> Placement:
    """Read a placement. Raises as :func:`decode_offer` does."""
    policy, quiet_hours = record.get("policy"), record.get("quiet_hours")
    return Placement(
        id_,
        record["size"],
        record["plain_items"],
        Rebuys(record["rebuys"]),
        PLAIN_POLICY if policy is None else decode_policy(policy),
        DEFAULT_QUIET_HOURS if quiet_hours is None else _decode_quiet_hours(quiet_hours),
        etag,
    )


def sparse(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the dataclasses above
    """Write the fields of a dataclass that differ from their default."""
    return {
        field.name: _plain(value)
        for field in fields(record)
        if (value := getattr(record, field.name)) != field.default or field.default is MISSING
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a field of those dataclasses holds
    if isinstance(value, Money):
        return encode_money(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return sparse(value) if is_dataclass(value) else value


def _encode_discount(discount: Discount) -> dict[str, Any]:
    match discount:
        case ShareOff(basis_points):
            return {"off_basis_points": basis_points}
        case AmountOff(amount):
            return {"off_amount": encode_money(amount)}
        case NewPrice(price):
            return {"new_price": encode_money(price)}


def _decode_discount(record: dict[str, Any]) -> Discount:
    match record:
        case {"off_basis_points": basis_points}:
            return ShareOff(int(basis_points))
        case {"off_amount": amount}:
            return AmountOff(decode_money(amount))
        case {"new_price": price}:
            return NewPrice(decode_money(price))
    raise ValueError(record)


def _decode_filter(record: dict[str, Any]) -> ItemFilter:
    lowest, highest = record.get("minimal_price"), record.get("maximal_price")
    return ItemFilter(
        tuple(record.get("categories", ())),
        tuple(record.get("labels", ())),
        None if lowest is None else decode_money(lowest),
        None if highest is None else decode_money(highest),
    )


def _encode_representation(representation: Representation) -> dict[str, Any]:
    record = sparse(representation)
    if representation.content:
        record["content"] = json.loads(representation.content)
    return record


def _decode_representation(record: dict[str, Any]) -> Representation:
    content = record.get("content")
    texts = {name: str(record.get(name, "")) for name in ("language", "title", "text", "image_uri", "link_uri")}
    return Representation(
        placements=tuple(record.get("placements", ())),
        channels=tuple(record.get("channels", ())),
        content="" if content is None else compact_json(content),
        **texts,
    )


def compact_json(content: Any) -> str:  # noqa: ANN401 - any JSON
    """Write JSON as a :class:`~models.terms.Representation` holds it: the same content gives the same text."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def _decode_hours(record: dict[str, Any]) -> WeeklyHours:
    whole = WeeklyHours()
    return WeeklyHours(
        tuple(record.get("weekdays", ())),
        record.get("start_minute", whole.start_minute),
        record.get("end_minute", whole.end_minute),
    )


def _decode_quiet_hours(record: dict[str, Any]) -> QuietHours:
    channels = record.get("channels", DEFAULT_QUIET_HOURS.channels)
    return replace(DEFAULT_QUIET_HOURS, **(record | {"channels": tuple(channels)}))


def _decode_cap(record: dict[str, Any]) -> Cap:
    whole = Cap(record["maximum"])
    return Cap(
        whole.maximum,
        CapScope(record.get("scope", whole.scope.value)),
        CapEvent(record.get("event", whole.event.value)),
        CapPeriod(record.get("period", whole.period.value)),
        record.get("placement", ""),
        record.get("channel", ""),
    )


def decode_policy(record: dict[str, Any]) -> Policy:
    """Read a policy. Raises as :func:`decode_offer` does."""
    promotion, rotation, exploration = record.get("promotion"), record.get("rotation"), record.get("exploration")
    return Policy(
        score_mode=ScoreMode(record.get("score_mode", PLAIN_POLICY.score_mode.value)),
        ignored_factors=tuple(Factor(name) for name in record.get("ignored_factors", ())),
        default_value=record.get("default_value", PLAIN_POLICY.default_value),
        levers=tuple(Lever(**lever) for lever in record.get("levers", ())),
        context_weights=tuple(ContextWeight(**weight) for weight in record.get("context_weights", ())),
        maximal_per_category=record.get("maximal_per_category", 0),
        diversity_percent=record.get("diversity_percent", 0),
        promotion=None if promotion is None else Promotion(**promotion),
        pins=tuple(Pin(**pin) for pin in record.get("pins", ())),
        rotation=None if rotation is None else Rotation(**rotation),
        fallback_offer_ids=tuple(record.get("fallback_offer_ids", ())),
        exploration=None if exploration is None else Exploration(**exploration),
    )
