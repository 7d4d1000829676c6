"""Quiet hours: when a shop does not begin to speak, by the customer's own clock."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import floor

from models.terms import DAY_MINUTES

PUSH_CHANNEL = "push"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Keeps messages back from ``start_minute`` to before ``end_minute``, every day, by the customer's clock.

    An ``end_minute`` below ``start_minute`` lies on the next day; where both are the same there are none. They hold on
    ``channels`` alone, on every one where that is empty. What customers open themselves is not bound by them.
    """

    start_minute: int = 21 * 60
    end_minute: int = 8 * 60
    channels: tuple[str, ...] = (PUSH_CHANNEL,)

    def hold(self, channel: str, now: float, zone: tzinfo) -> bool:
        """Tell whether it is quiet on a channel at ``now``, seconds since 1970, for who lives in ``zone``.

        What counts is what the clock on the wall shows: an hour that comes twice is as quiet the second time.
        """
        if self.channels and channel not in self.channels:
            return False
        clock = _clock(now, zone)
        # Where the hours run over midnight, the minutes of the day since they began wrap around.
        since = (clock.hour * 60 + clock.minute - self.start_minute) % DAY_MINUTES
        return since < (self.end_minute - self.start_minute) % DAY_MINUTES

    def end(self, channel: str, now: float, zone: tzinfo) -> float:
        """Give when it is no longer quiet: ``now`` itself where it is not, else the end of the hours, whole seconds.

        When clocks are put forward over the end, it is as long after the change as it would have been after the hour
        left out began (the convention of PEP 495).
        """
        while self.hold(channel, now, zone):
            clock = _clock(now, zone)
            left = (self.end_minute - clock.hour * 60 - clock.minute - 1) % DAY_MINUTES + 1
            end = clock.replace(tzinfo=None, second=0, microsecond=0) + timedelta(minutes=left)
            # Clocks may be put on or back before the end: it is at the old time or at the new, whichever comes first.
            ends = sorted(_instant(end, around, zone) for around in (now, now + left * 60))
            later = [instant for instant in ends if instant > now]
            now = next((instant for instant in later if not self.hold(channel, instant, zone)), later[-1])
        return now

    def begin(self, channel: str, now: float, until: float, zone: tzinfo) -> float:
        """Give when it is quiet next, from ``now`` on, at the latest ``until``; both seconds since 1970.

        It looks at every minute in between: hours begin, and clocks change, at full minutes.
        """
        while now < until and not self.hold(channel, now, zone):
            now = now // 60 * 60 + 60
        return min(now, until)


DEFAULT_QUIET_HOURS = QuietHours()
"""Hold where a placement does not say: pushes rest from 21:00 to 8:00."""


def _clock(now: float, zone: tzinfo) -> datetime:
    """Give what a clock shows, to the second: half a microsecond before a minute a datetime rounds up to it."""
    return datetime.fromtimestamp(floor(now), zone)


def _instant(clock: datetime, around: float, zone: tzinfo) -> float:
    """Give when a clock shows a time that is as far from UTC as it is at ``around``."""
    offset = datetime.fromtimestamp(around, zone).utcoffset() or timedelta()
    return (clock - offset).replace(tzinfo=UTC).timestamp()
