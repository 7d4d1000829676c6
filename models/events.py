"""What customers do, and what each kind of doing says."""

from dataclasses import dataclass
from datetime import datetime

from models.offers import Money

PURCHASE = "purchase"
RETURN = "return"
DISMISS = "dismiss"
SEARCH = "search"
RATING = "rating"
VIEW = "view"
CART = "cart"
IMPRESSION = "impression"
CLICK = "click"
REDEEM = "redeem"
EXPOSURE = "exposure"
"""Says that a customer met an experiment. Servers record it; nobody else may."""

EVENT_TYPES = (
    VIEW,
    SEARCH,
    CART,
    PURCHASE,
    RETURN,
    IMPRESSION,
    CLICK,
    DISMISS,
    REDEEM,
    RATING,
)
"""The event types that are known without configuration."""


@dataclass(frozen=True, slots=True)
class Event:
    """Is an immutable fact: a customer did something to an item or an offer at ``event_time`` (UTC, aware)."""

    event_id: str
    customer_id: str
    event_type: str
    event_time: datetime
    item_id: str = ""
    offer_id: str = ""
    quantity: float = 1.0
    value: Money | None = None
    channel: str = ""
    rating: float = 0.0
    query: str = ""
    request_id: str = ""
    arm: str = ""
    experiment_id: str = ""
    placement: str = ""
