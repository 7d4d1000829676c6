"""The facts of one request and its customer, for conditions of offers."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import NamedTuple

from models.customers import AttributeValue
from models.events import PURCHASE
from models.outlook import Outlook, unpack_outlook
from models.terms import DAY_MINUTES
from service.decision.history import History
from service.decision.query import Customer, Query
from service.decision.snapshot import Snapshot

_DAY_SECONDS = DAY_MINUTES * 60


class _Asked(NamedTuple):
    """Is what the facts are taken from."""

    snapshot: Snapshot
    query: Query
    customer: Customer
    history: History


class AskedFacts:
    """Gives facts of one request and its customer, each worked out when it is first asked for."""

    def __init__(self, snapshot: Snapshot, query: Query, customer: Customer, history: History) -> None:
        self._asked = _Asked(snapshot, query, customer, history)
        self._known: dict[str, object] = {}

    def named(self, names: Iterable[str], placement: str) -> dict[str, object]:
        """Give those of the named facts that are known, at one placement."""
        facts = ((name, placement if name == "request.placement" else self._fact(name)) for name in names)
        return {name: value for name, value in facts if value is not None}

    def _fact(self, name: str) -> object:
        if name not in self._known:
            self._known[name] = _GETTERS[name](self._asked)
        return self._known[name]


def _attributes(asked: _Asked, kind: type | tuple[type, ...]) -> dict[str, AttributeValue]:
    record = asked.customer.record
    attributes = record.attributes if record is not None else {}
    return {name: value for name, value in attributes.items() if isinstance(value, kind)}


def _numbers(asked: _Asked) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in _attributes(asked, (int, float)).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _audiences(asked: _Asked) -> list[str]:
    audiences = asked.snapshot.catalog.audiences.values()
    return [one.audience_id for one in audiences if asked.customer.is_among(one.customer_ids)]


def _categories(asked: _Asked, slots: Iterable[int]) -> list[str]:
    """Give the categories of items, the latest first, each once."""
    items = (asked.snapshot.offers.facts.at(slot) for slot in slots)
    return list(dict.fromkeys(item.category for item in items if item is not None and item.category))


def _ids(asked: _Asked, slots: Iterable[int]) -> list[str]:
    return [asked.snapshot.slots.ids[slot] for slot in slots]


def _purchases(asked: _Asked) -> int:
    return sum(event.event_type == PURCHASE for event in asked.customer.profile.events)


def _days_since_purchase(asked: _Asked) -> int | None:
    times = (event.event_time for event in asked.customer.profile.events if event.event_type == PURCHASE)
    newest = next(times, None)
    return None if newest is None else int((asked.query.now - newest.timestamp()) // _DAY_SECONDS)


def _outlook(asked: _Asked) -> Outlook | None:
    return None if asked.customer.candidates is None else unpack_outlook(asked.customer.candidates.outlook)


def _days_to_purchase(asked: _Asked) -> int | None:
    outlook, trained_until = _outlook(asked), asked.snapshot.model.trained_until
    if outlook is None or not isfinite(trained_until):
        return None
    return int((trained_until - asked.query.now) // _DAY_SECONDS) + outlook.purchase_days


_GETTERS: Mapping[str, Callable[[_Asked], object]] = {
    "request.channel": lambda asked: asked.query.channel,
    "request.language": lambda asked: asked.query.language,
    "request.segment": lambda asked: asked.query.segment,
    "request.context_items": lambda asked: list(asked.query.context_item_ids),
    "request.consents": lambda asked: sorted(asked.query.consent_categories),
    "request.time": lambda asked: datetime.fromtimestamp(asked.query.now, UTC),
    "request.hour": lambda asked: asked.query.minute_of_week % DAY_MINUTES // 60,
    "request.weekday": lambda asked: asked.query.minute_of_week // DAY_MINUTES + 1,
    "customer.id": lambda asked: asked.customer.customer_id,
    "customer.known": lambda asked: asked.customer.candidates is not None,
    "customer.text": lambda asked: _attributes(asked, str),
    "customer.number": _numbers,
    "customer.truth": lambda asked: _attributes(asked, bool),
    "customer.texts": lambda asked: {
        name: list(value) for name, value in _attributes(asked, tuple).items() if isinstance(value, tuple)
    },
    "customer.audiences": _audiences,
    "customer.bought": lambda asked: _ids(asked, asked.history.bought),
    "customer.viewed": lambda asked: _ids(asked, asked.history.viewed),
    "customer.bought_categories": lambda asked: _categories(asked, asked.history.bought),
    "customer.viewed_categories": lambda asked: _categories(asked, asked.history.viewed),
    "customer.purchases": _purchases,
    "customer.days_since_purchase": _days_since_purchase,
    "customer.segment": lambda asked: getattr(_outlook(asked), "segment", None),
    "customer.churn_risk": lambda asked: getattr(_outlook(asked), "churn_risk", None),
    "customer.value": lambda asked: getattr(_outlook(asked), "value", None),
    "customer.days_to_purchase": _days_to_purchase,
}
