"""Terms of offers that are more than a value: how an offer looks, when it is shown or pauses, how often at most."""

from dataclasses import dataclass
from enum import Enum

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
DEFAULT_RESERVATION_SECONDS = 30 * 60


@dataclass(frozen=True, slots=True)
class Representation:
    """Is how an offer looks somewhere. Empty ``placements``, ``channels`` or ``language`` mean everywhere.

    ``content`` is a JSON object as text, empty for none.
    """

    placements: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    language: str = ""
    title: str = ""
    text: str = ""
    image_uri: str = ""
    link_uri: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """States hours that return every week, from ``start_minute`` of each weekday to before ``end_minute``.

    ``weekdays`` count from 0, Monday; empty means all. An ``end_minute`` above 1,440 lies on the next day.
    """

    weekdays: tuple[int, ...] = ()
    start_minute: int = 0
    end_minute: int = DAY_MINUTES

    def minutes(self) -> list[tuple[int, int]]:
        """Give the hours as half-open ranges of minutes of the week, 0 … 10,080; what wraps is cut in two."""
        ranges = []
        for weekday in self.weekdays or range(7):
            start, end = weekday * DAY_MINUTES + self.start_minute, weekday * DAY_MINUTES + self.end_minute
            ranges.append((start, min(end, WEEK_MINUTES)))
            if end > WEEK_MINUTES:
                ranges.append((0, end - WEEK_MINUTES))
        return ranges


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Keeps an offer away from a customer for ``seconds`` after their last event of this type on it."""

    event_type: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds the redemptions of an offer; a unit is kept ``reservation_seconds`` for whoever was shown it."""

    units: int
    reservation_seconds: int = DEFAULT_RESERVATION_SECONDS


class CapScope(Enum):
    """Tells whose events a cap counts: each customer's own, or everybody's together."""

    CUSTOMER = "customer"
    TOTAL = "total"


class CapEvent(Enum):
    """Names what a cap counts: that the offer was put into a slate, or an event of this type on it."""

    DECISION = "decision"
    IMPRESSION = "impression"
    CLICK = "click"
    REDEMPTION = "redeem"


class CapPeriod(Enum):
    """Names how long a cap counts before it begins anew, by the calendar in UTC; a week begins on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    EVER = "ever"


@dataclass(frozen=True, slots=True)
class Cap:
    """Keeps an offer out once ``maximum`` is counted. ``placement`` or ``channel`` bound it to what happens there."""

    maximum: int
    scope: CapScope = CapScope.CUSTOMER
    event: CapEvent = CapEvent.IMPRESSION
    period: CapPeriod = CapPeriod.EVER
    placement: str = ""
    channel: str = ""

    def is_about(self, placement: str, channel: str) -> bool:
        """Tell whether it counts, and bounds, what happens at a placement and on a channel; empty where not known."""
        return self.placement in ("", placement) and self.channel in ("", channel)

    def counter(self, offer_id: str) -> str:
        """Name what it counts of an offer; caps that differ only in scope, period or maximum share the name."""
        return f"{self.event.value}:{self.placement}:{self.channel}:{offer_id}"


def best_representation(
    representations: tuple[Representation, ...], placement: str, channel: str, language: str
) -> int | None:
    """Give the index of the representation that fits best, None when none fits.

    One for this language goes before one for all languages (``de-AT``, then ``de``), then one for this placement,
    then one for this channel, then the first. An empty ``channel`` or ``language`` passes over that condition.
    """
    best, best_fit = None, (-1, False, False)
    for index, one in enumerate(representations):
        spoken = _language_fit(one.language, language)
        placed = not one.placements or placement in one.placements
        carried = not one.channels or not channel or channel in one.channels
        fit = (spoken, bool(one.placements), bool(one.channels) and bool(channel))
        if spoken >= 0 and placed and carried and fit > best_fit:
            best, best_fit = index, fit
    return best


def _language_fit(offered: str, wanted: str) -> int:
    """Give how well a language serves another: -1 not at all, 0 as one for all, else the length of the common tag."""
    if not offered or not wanted:
        return 0
    offered, wanted = offered.lower(), wanted.lower()
    return len(offered) if wanted == offered or wanted.startswith(f"{offered}-") else -1
