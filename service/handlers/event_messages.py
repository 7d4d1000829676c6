"""Event messages → domain, each field checked."""

import re
from collections.abc import Sequence, Set
from datetime import UTC, datetime, timedelta

from dangol.v1 import event_pb2
from models.errors import InvalidInputError
from models.events import SEARCH, Event
from service.handlers.catalog_messages import time_from
from service.handlers.money_messages import money_from
from service.handlers.validation import (
    check,
    check_distinct,
    count_problem,
    id_problem,
    optional_id_problem,
    optional_kebab_problem,
    range_problem,
    text_problem,
)

MAXIMAL_EVENTS = 1000
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_MAXIMAL_LEAD = timedelta(hours=24)
_EVENT_TYPE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def events_from(messages: Sequence[event_pb2.Event], event_types: Set[str], now: datetime) -> list[Event]:
    """Read a batch of events. InvalidInputError names the field of the first bad one, as ``events[3].event_time``."""
    check("events", count_problem(len(messages), 1, MAXIMAL_EVENTS))
    latest = now + _MAXIMAL_LEAD
    events = [_event_from(message, f"events[{index}]", event_types, latest) for index, message in enumerate(messages)]
    check_distinct("events", [event.event_id for event in events], ".event_id")
    return events


def _event_from(message: event_pb2.Event, field: str, event_types: Set[str], latest: datetime) -> Event:
    _check_names(message, field, event_types)
    check(f"{field}.quantity", range_problem(message.quantity, 0, 1_000_000))
    check(f"{field}.rating", range_problem(message.rating, 0, 5))
    return Event(
        event_id=message.event_id,
        customer_id=message.customer_id,
        event_type=message.event_type,
        event_time=_event_time(message, f"{field}.event_time", latest),
        item_id=message.item_id,
        offer_id=message.offer_id,
        quantity=message.quantity or 1.0,
        value=money_from(message.value, f"{field}.value") if message.HasField("value") else None,
        channel=message.channel,
        rating=message.rating,
        query=message.query,
        request_id=message.request_id,
        arm=message.arm,
        placement=message.placement,
    )


def _check_names(message: event_pb2.Event, field: str, event_types: Set[str]) -> None:
    check(f"{field}.event_id", id_problem(message.event_id))
    check(f"{field}.customer_id", id_problem(message.customer_id))
    if message.event_type not in event_types:
        problem = "is required"
        if message.event_type:
            known = _EVENT_TYPE.fullmatch(message.event_type) and len(message.event_type) <= 32
            problem = "is not a type that the service knows" if known else "is not kebab-case of at most 32 bytes"
        raise InvalidInputError(f"{field}.event_type", problem)
    check(f"{field}.item_id", optional_id_problem(message.item_id))
    check(f"{field}.offer_id", optional_id_problem(message.offer_id))
    check(f"{field}.query", text_problem(message.query, 512))
    check(f"{field}.channel", optional_kebab_problem(message.channel, 32))
    check(f"{field}.placement", optional_kebab_problem(message.placement))
    check(f"{field}.request_id", optional_id_problem(message.request_id))
    check(f"{field}.arm", optional_kebab_problem(message.arm))
    if not message.item_id and not message.offer_id and not (message.event_type == SEARCH and message.query):
        raise InvalidInputError(f"{field}.item_id", "is required without offer_id")


def _event_time(message: event_pb2.Event, field: str, latest: datetime) -> datetime:
    if not message.HasField("event_time"):
        raise InvalidInputError(field, "is required")
    event_time = time_from(message.event_time, field)
    if event_time < _EARLIEST:
        raise InvalidInputError(field, "is before 1990")
    if event_time > latest:
        raise InvalidInputError(field, "is more than 24 hours in the future")
    return event_time
