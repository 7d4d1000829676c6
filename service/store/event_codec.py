"""Events as JSON: what the log holds and what an export of it holds, one object a line."""

import json
from datetime import UTC, datetime
from sys import intern
from typing import Any

from models.errors import InvalidInputError
from models.events import Event
from models.offers import Money

_DEFAULTS = {
    "item_id": "",
    "offer_id": "",
    "quantity": 1.0,
    "channel": "",
    "rating": 0.0,
    "query": "",
    "request_id": "",
    "arm": "",
    "experiment_id": "",
    "placement": "",
}


def encode_event(event: Event) -> bytes:
    """Write an event as compact JSON; what has its default value is left out."""
    record: dict[str, Any] = {
        "event_id": event.event_id,
        "customer_id": event.customer_id,
        "event_type": event.event_type,
        "event_time": event.event_time.astimezone(UTC).isoformat(),
    }
    record |= {name: value for name, default in _DEFAULTS.items() if (value := getattr(event, name)) != default}
    if event.value is not None:
        record["value"] = encode_money(event.value)
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode_event(content: bytes) -> Event:
    """Read an event. InvalidInputError when it is not one."""
    try:
        record = json.loads(content)
        value = record.pop("value", None)
        event_time = datetime.fromisoformat(record.pop("event_time"))
        if event_time.tzinfo is None:
            raise InvalidInputError("event_time", "has no time zone")
        return Event(
            event_time=event_time.astimezone(UTC), value=None if value is None else decode_money(value), **record
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError("event", "is not an event as the log holds it") from error


def encode_money(money: Money) -> list[int | str]:
    """Write an amount as minor units and currency."""
    return [money.minor_units, money.currency_code]


def decode_money(record: Any) -> Money:  # noqa: ANN401 - JSON of any shape; what does not fit raises
    """Read an amount. ValueError or TypeError when it is none."""
    minor_units, currency_code = record
    # One text for all amounts in a currency: a catalogue holds a great many.
    return Money(int(minor_units), intern(str(currency_code)))
