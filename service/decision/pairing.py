"""An item with the offer made on it, put together once for all the answers that show it."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from models.offers import Item, Offer
from models.policy import DEFAULT_VALUE
from service.decision.indexed_offer import IndexedOffer

_REMEMBERED = 4_096


@dataclass(slots=True)
class Pairing:
    """Is an item with an offer on it, or alone; never changed once it is made.

    ``item`` is None where the catalogue lacks it. ``is_conditional`` says that the offer has terms about the customer
    or the request, which must be checked. ``labels``, of both, ``category``, ``value`` (in hundreds of minor units,
    None for an offer without one) and ``priority`` are what policies judge by: they stand here together, as the objects
    that they are taken from lie scattered in memory. ``encoded`` is room for what is made of a pairing for answers,
    once; it is empty until then.
    """

    item_id: str
    item: Item | None = field(compare=False, repr=False)
    offer: Offer | None
    offer_id: str = field(compare=False, repr=False)
    indexed: IndexedOffer | None = field(compare=False, repr=False)
    is_conditional: bool = field(compare=False, repr=False)
    labels: tuple[str, ...] = field(default=(), compare=False, repr=False)
    category: str = field(default="", compare=False, repr=False)
    value: float | None = field(default=None, compare=False, repr=False)
    priority: int = field(default=0, compare=False, repr=False)
    encoded: bytes = field(default=b"", compare=False, repr=False)

    @classmethod
    def alone(cls, item_id: str, item: Item | None) -> Self:
        """Give an item without an offer."""
        labels, category = _traits(item)
        return cls(item_id, item, None, "", None, is_conditional=False, labels=labels, category=category)

    @classmethod
    def on(cls, item_id: str, item: Item | None, indexed: IndexedOffer) -> Self:
        """Give an item with an offer on it."""
        offer = indexed.offer
        labels, category = _traits(item)
        return cls(
            item_id,
            item,
            offer,
            offer.offer_id,
            indexed,
            is_conditional=indexed.is_special or not indexed.is_open,
            labels=_joined(offer.labels, labels),
            category=category,
            value=offer.value.minor_units / DEFAULT_VALUE if offer.value is not None else None,
            priority=offer.priority,
        )


def _traits(item: Item | None) -> tuple[tuple[str, ...], str]:
    return (item.labels, item.category) if item is not None else ((), "")


@lru_cache(maxsize=_REMEMBERED)
def _joined(offer_labels: tuple[str, ...], item_labels: tuple[str, ...]) -> tuple[str, ...]:
    """Give all labels, each once; the same ones are one object, wherever they stand."""
    return tuple(dict.fromkeys(offer_labels + item_labels))
