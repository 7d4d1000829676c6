"""An item with the offer made on it, put together once for all the answers that show it."""

from dataclasses import dataclass, field
from typing import Self

from models.offers import Item, Offer
from service.decision.indexed_offer import IndexedOffer


@dataclass(slots=True)
class Pairing:
    """Is an item with an offer on it, or alone; never changed once it is made.

    ``item`` is None where the catalogue lacks it. ``is_conditional`` says that the offer has terms about the customer
    or the request, which must be checked. ``encoded`` is room for what is made of a pairing for answers, once; it is
    empty until then.
    """

    item_id: str
    item: Item | None = field(compare=False, repr=False)
    offer: Offer | None
    offer_id: str = field(compare=False, repr=False)
    indexed: IndexedOffer | None = field(compare=False, repr=False)
    is_conditional: bool = field(compare=False, repr=False)
    encoded: bytes = field(default=b"", compare=False, repr=False)

    @classmethod
    def alone(cls, item_id: str, item: Item | None) -> Self:
        """Give an item without an offer."""
        return cls(item_id, item, None, "", None, is_conditional=False)

    @classmethod
    def on(cls, item_id: str, item: Item | None, indexed: IndexedOffer) -> Self:
        """Give an item with an offer on it."""
        offer = indexed.offer
        conditional = indexed.is_special or not indexed.is_open or indexed.condition is not None
        return cls(item_id, item, offer, offer.offer_id, indexed, conditional)
