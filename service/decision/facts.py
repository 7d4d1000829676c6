"""What conditions of offers may look at: of the item, the customer and the request, with their types."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from models.offers import Item

_TEXTS = "list<string>"

ITEM_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "item.id": "string",
        "item.title": "string",
        "item.category": "string",
        "item.labels": _TEXTS,
        "item.price": "int",
        "item.currency": "string",
    }
)
"""The facts of an item by name, with their types. An item without a price has no ``item.price``; one that the catalogue
lacks has nothing but ``item.id``."""

ASKED_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "request.placement": "string",
        "request.channel": "string",
        "request.language": "string",
        "request.segment": "string",
        "request.context_items": _TEXTS,
        "request.consents": _TEXTS,
        "request.time": "timestamp",
        "request.hour": "int",
        "request.weekday": "int",
        "customer.id": "string",
        "customer.known": "bool",
        "customer.text": "map<string, string>",
        "customer.number": "map<string, double>",
        "customer.truth": "map<string, bool>",
        "customer.texts": "map<string, list<string>>",
        "customer.audiences": _TEXTS,
        "customer.bought": _TEXTS,
        "customer.viewed": _TEXTS,
        "customer.bought_categories": _TEXTS,
        "customer.viewed_categories": _TEXTS,
        "customer.purchases": "int",
        "customer.days_since_purchase": "int",
        "customer.segment": "string",
        "customer.churn_risk": "double",
        "customer.value": "double",
        "customer.days_to_purchase": "int",
    }
)
"""The facts of request and customer by name, with their types. What is not known is left out."""

FACT_TYPES: Mapping[str, str] = MappingProxyType({**ITEM_FACTS, **ASKED_FACTS})
"""All facts by name, with their types as the Common Expression Language writes them."""


def item_facts(item_id: str, item: Item | None, names: Iterable[str]) -> dict[str, object]:
    """Give those of the named facts that are known of an item; None as ``item`` for one that the catalogue lacks."""
    facts: dict[str, object] = {"item.id": item_id}
    if item is not None:
        facts |= {"item.title": item.title, "item.category": item.category, "item.labels": list(item.labels)}
        if item.price is not None:
            facts |= {"item.price": item.price.minor_units, "item.currency": item.price.currency_code}
    return {name: facts[name] for name in names if name in facts}
