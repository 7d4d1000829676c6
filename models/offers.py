"""What a shop has to offer, as the product thinks of it. Times are UTC; money is integer minor units."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from models.policy import PLAIN_POLICY, Policy
from models.quiet_hours import DEFAULT_QUIET_HOURS, QuietHours
from models.terms import Budget, Cap, Cooldown, Representation, WeeklyHours


@dataclass(frozen=True, slots=True)
class Money:
    """Is an exact amount: ``minor_units`` (such as cents) of the ISO 4217 ``currency_code``."""

    minor_units: int
    currency_code: str


_WITHOUT_MINOR_UNITS = frozenset({"CLP", "ISK", "JPY", "KRW", "VND"})


def minor_unit_places(currency_code: str) -> int:
    """Give how many decimal places the minor unit of a currency stands for: 2, or 0 where there is none."""
    return 0 if currency_code in _WITHOUT_MINOR_UNITS else 2


@dataclass(frozen=True, slots=True)
class ShareOff:
    """Takes ``basis_points`` (1 to 10,000) off the price."""

    basis_points: int


@dataclass(frozen=True, slots=True)
class AmountOff:
    """Takes an amount off the price."""

    amount: Money


@dataclass(frozen=True, slots=True)
class NewPrice:
    """Replaces the price."""

    price: Money


Discount = ShareOff | AmountOff | NewPrice


class OfferStatus(Enum):
    """Tells whether an offer is on; only LIVE is shown."""

    DRAFT = "draft"
    LIVE = "live"
    PAUSED = "paused"
    ARCHIVED = "archived"


class Rebuys(Enum):
    """Tells whether a placement welcomes items that the customer has bought before.

    LATER keeps out what was bought since the model was trained, REFUSED whatever was bought, ALLOWED nothing.
    """

    LATER = "later"
    ALLOWED = "allowed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Item:
    """Is something that the model learns about and that an offer may be made on."""

    item_id: str
    title: str = ""
    category: str = ""
    price: Money | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Covers items by what is known of them; empty tuples and None mean no condition.

    An item needs one of the ``categories``, one of the ``labels``, and a price, in the currency of each bound, that
    is neither below nor above it.
    """

    categories: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    minimal_price: Money | None = None
    maximal_price: Money | None = None

    def covers(self, item: Item) -> bool:
        """Tell whether an item meets every condition."""
        return (
            (not self.categories or item.category in self.categories)
            and (not self.labels or any(label in self.labels for label in item.labels))
            and (self.minimal_price is None or _at_most(self.minimal_price, item.price))
            and (self.maximal_price is None or _at_most(item.price, self.maximal_price))
        )


def _at_most(lower: Money | None, upper: Money | None) -> bool:
    return (
        lower is not None
        and upper is not None
        and lower.currency_code == upper.currency_code
        and lower.minor_units <= upper.minor_units
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """Is a set of items on terms: those of ``item_ids`` and those that ``item_filter`` covers.

    ``start_time`` is inclusive, ``end_time`` exclusive, both UTC; empty tuples mean no restriction. ``etag`` names the
    stored state that the offer was read from, empty before it is stored; it is no part of what the offer is.
    ``eligibility`` is a condition in the Common Expression Language, empty for none.
    """

    offer_id: str
    item_ids: tuple[str, ...]
    title: str = ""
    discount: Discount | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    audience_ids: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    placements: tuple[str, ...] = ()
    priority: int = 0
    status: OfferStatus = OfferStatus.LIVE
    labels: tuple[str, ...] = ()
    item_filter: ItemFilter | None = None
    representations: tuple[Representation, ...] = ()
    weekly_hours: tuple[WeeklyHours, ...] = ()
    value: Money | None = None
    cooldown: Cooldown | None = None
    consent_category: str = ""
    fallback: bool = False
    budget: Budget | None = None
    caps: tuple[Cap, ...] = ()
    eligibility: str = ""
    etag: str = field(default="", compare=False)


DEFAULT_PLACEMENT_SIZE = 10
MAXIMAL_PLACEMENT_SIZE = 100


@dataclass(frozen=True, slots=True)
class Placement:
    """Is the slot that asks for offers, with the rules of its slates. ``etag`` is as in :class:`Offer`."""

    placement: str
    size: int = DEFAULT_PLACEMENT_SIZE
    plain_items: bool = True
    rebuys: Rebuys = Rebuys.LATER
    policy: Policy = PLAIN_POLICY
    quiet_hours: QuietHours = DEFAULT_QUIET_HOURS
    etag: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Audience:
    """Is a named set of customers that offers can be made to."""

    audience_id: str
    customer_ids: frozenset[str]


def discounted(price: Money, discount: Discount) -> Money | None:
    """Give the price after the discount, never below zero, halves rounded in the customer's favour.

    None when the currencies differ.
    """
    match discount:
        case ShareOff(basis_points):
            return Money(price.minor_units * (10_000 - basis_points) // 10_000, price.currency_code)
        case AmountOff(amount):
            if amount.currency_code != price.currency_code:
                return None
            return Money(max(0, price.minor_units - amount.minor_units), price.currency_code)
        case NewPrice(new_price):
            return new_price if new_price.currency_code == price.currency_code else None
