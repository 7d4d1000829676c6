"""At which hour a customer usually responds, and when a push is therefore sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Self
from zlib import crc32
from zoneinfo import ZoneInfo

from models.customers import CustomerRecord
from models.events import CLICK, PURCHASE, REDEEM
from models.profile import ProfileEvent
from models.quiet_hours import QuietHours
from models.triggers import Trigger

_RESPONSES = frozenset((CLICK, PURCHASE, REDEEM))
_LEAST_RESPONSES = 3
_NEIGHBOR_WEIGHT = 0.5
_HOURS = 24
_SPREAD_SECONDS = 3_000
"""Of the hour, over which customers are spread, so that not all are due at its beginning."""
_HOUR_SECONDS = 3_600
_DAYS = 3  # of which one has the hour and is not quiet, whatever clocks do


@dataclass(frozen=True, slots=True)
class SendHours:
    """Knows when to send one customer what a trigger pushes: not in quiet hours, and at an hour of theirs."""

    quiet: QuietHours
    channel: str
    zone: tzinfo
    hour: int | None
    offset: int

    @classmethod
    def of(
        cls,
        customer_id: str,
        events: Sequence[ProfileEvent],
        record: CustomerRecord,
        quiet: QuietHours,
        trigger: Trigger,
    ) -> Self:
        """Find the hour at which a customer usually responds, and their place within it, always the same."""
        zone = zone_of(record)
        hour = usual_hour(events, zone, quiet, trigger.channel, trigger.default_hour)
        return cls(quiet, trigger.channel, zone, hour, crc32(customer_id.encode()) % _SPREAD_SECONDS)

    def send_time(self, earliest: float, latest: float) -> float:
        """Give when to send what may be sent from ``earliest`` on, as :func:`send_time` does."""
        return send_time(earliest, latest, self.hour, self.offset, self.quiet, self.channel, self.zone)

    def quiet_begin(self, now: float, until: float) -> float:
        """Give when it is quiet next, from ``now`` on, at the latest ``until``; all are seconds since 1970."""
        return self.quiet.begin(self.channel, now, until, self.zone)


def usual_hour(
    events: Sequence[ProfileEvent], zone: tzinfo, quiet: QuietHours, channel: str, default_hour: int
) -> int | None:
    """Give the hour (0 to 23) of the clock in ``zone`` at which a customer responds most, among those never quiet.

    Responses are clicks, purchases and redemptions; each counts half for the hours beside its own. With fewer than
    three of them it is the default hour, or the one next to it that is not quiet. None when every hour is.
    """
    free = [hour for hour in range(_HOURS) if not _is_quiet(quiet, channel, hour)]
    if not free:
        return None
    counts = [0] * _HOURS
    for event in events:
        if event.event_type in _RESPONSES:
            counts[event.event_time.astimezone(zone).hour] += 1
    if sum(counts) < _LEAST_RESPONSES:
        return min(free, key=lambda hour: (_distance(hour, default_hour), hour))
    weights = [
        counts[hour] + _NEIGHBOR_WEIGHT * (counts[hour - 1] + counts[(hour + 1) % _HOURS]) for hour in range(_HOURS)
    ]
    return max(free, key=lambda hour: (weights[hour], -_distance(hour, default_hour), -hour))


def send_time(
    earliest: float, latest: float, hour: int | None, offset: int, quiet: QuietHours, channel: str, zone: tzinfo
) -> float:
    """Give when to send what may be sent from ``earliest`` on: when it is that hour by the clock in ``zone``.

    ``offset`` (0 to 3,599 seconds) spreads customers over the hour. Where the hour comes only after ``latest``, or is
    None, it is as early as it is not quiet. Times are seconds since 1970.
    """
    soonest = quiet.end(channel, earliest, zone)
    if hour is None:
        return soonest
    clock = datetime.fromtimestamp(earliest, zone)
    if clock.hour == hour and soonest == earliest:
        return earliest
    for days in range(_DAYS):
        date = clock.date() + timedelta(days=days)
        wanted = datetime.combine(date, time(hour), tzinfo=zone).astimezone(UTC).timestamp() + offset
        if wanted >= earliest and quiet.end(channel, wanted, zone) == wanted:
            return wanted if wanted < latest else soonest
    return soonest


def zone_of(record: CustomerRecord) -> tzinfo:
    """Give the time zone of a customer, UTC where none is stored."""
    return ZoneInfo(record.time_zone) if record.time_zone else UTC


def _is_quiet(quiet: QuietHours, channel: str, hour: int) -> bool:
    """Tell whether it is quiet at the beginning or at the end of an hour of any day."""
    begin = hour * _HOUR_SECONDS
    return quiet.hold(channel, begin, UTC) or quiet.hold(channel, begin + _HOUR_SECONDS - 1, UTC)


def _distance(one: int, other: int) -> int:
    apart = abs(one - other)
    return min(apart, _HOURS - apart)
