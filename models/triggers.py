"""Triggers: what makes the shop speak to a customer by itself, and the policy by which it does."""

from dataclasses import dataclass, field
from enum import Enum

from models.quiet_hours import PUSH_CHANNEL

_HOUR = 3_600
_DAY = 24 * _HOUR
DEFAULT_CONSENT_CATEGORY = "marketing"
DEFAULT_HOUR = 18


class TriggerKind(Enum):
    """Names what a push is about.

    DISCOUNT: a discount on an item that the customer looked at lately and did not buy. BACK_IN_STOCK: such an item is
    in the catalogue again. ABANDONED_CART: what lies in the cart since the last purchase. OFFER_ENDING: an offer that
    the customer showed interest in ends soon. NEXT_PURCHASE: the customer usually buys again about now.
    """

    DISCOUNT = "discount"
    BACK_IN_STOCK = "back-in-stock"
    ABANDONED_CART = "abandoned-cart"
    OFFER_ENDING = "offer-ending"
    NEXT_PURCHASE = "next-purchase"


class TriggerStatus(Enum):
    """Tells whether a trigger is on; only ACTIVE ones push."""

    ACTIVE = "active"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Trigger:
    """Is one reason to push, with its policy. ``etag`` is as in :class:`~models.offers.Offer`.

    All times are seconds: ``delay`` from the motive to the push at the earliest; ``cooldown`` between two pushes of
    this trigger to one customer, ``spacing`` after a push of whatever trigger; ``lookback`` is how long ago an event
    may be to count; ``lead`` how long before the end of an offer, or before the next purchase, it is time; a push that
    was not sent ``lifetime`` after it could first be is not sent any more. ``default_hour`` (0 to 23, by the customer's
    clock) stands in for the hour at which a customer usually responds, where that is not known.
    """

    trigger: str
    kind: TriggerKind
    status: TriggerStatus = TriggerStatus.ACTIVE
    placement: str = PUSH_CHANNEL
    channel: str = PUSH_CHANNEL
    consent_category: str = DEFAULT_CONSENT_CATEGORY
    priority: int = 0
    delay: int = _HOUR
    cooldown: int = 3 * _DAY
    spacing: int = 12 * _HOUR
    lookback: int = 14 * _DAY
    lead: int = 2 * _DAY
    lifetime: int = 3 * _DAY
    default_hour: int = DEFAULT_HOUR
    etag: str = field(default="", compare=False)
