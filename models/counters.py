"""What is counted for caps on offers: buckets of time, counters in them, and the steps that events make."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from models.events import Event
from models.terms import Cap, CapEvent, CapPeriod, CapScope

EVER = "ever"
"""Names the bucket of all time."""

OfferCaps = Mapping[str, Sequence[Cap]]
"""Is the caps of those offers that have some, by offer id."""

NO_CAPS: OfferCaps = MappingProxyType({})
_EVER_SECONDS = 400 * 24 * 3_600


NO_COUNTERS: Mapping[str, int] = MappingProxyType({})
"""Is what is counted of somebody who did nothing that counts."""


class Bucket(NamedTuple):
    """Is one hour, day, week or month, or all time: its name, and when it is over, in seconds since 1970, UTC.

    All time is over 400 days after the newest event in it, so that nothing is kept for ever.
    """

    name: str
    end: int


class Move(NamedTuple):
    """Is one step of a counter."""

    scope: CapScope
    bucket: Bucket
    counter: str


def counter_name(bucket: str, counter: str) -> str:
    """Name a counter in a bucket, as counts are found by."""
    return f"{bucket}:{counter}"


def add_counters(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add counts up, by name."""
    added: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            added[name] = added.get(name, 0) + count
    return added


def bucket_of(period: CapPeriod, time: float) -> Bucket:
    """Give the bucket that ``time``, in seconds since 1970, falls into."""
    moment = datetime.fromtimestamp(time, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case CapPeriod.HOUR:
            start = moment.replace(minute=0, second=0, microsecond=0)
            return Bucket(f"hour-{start:%Y-%m-%dT%H}", _seconds(start + timedelta(hours=1)))
        case CapPeriod.DAY:
            return Bucket(f"day-{midnight:%Y-%m-%d}", _seconds(midnight + timedelta(days=1)))
        case CapPeriod.WEEK:
            monday = midnight - timedelta(days=moment.weekday())
            return Bucket(f"week-{monday:%G-%V}", _seconds(monday + timedelta(days=7)))
        case CapPeriod.MONTH:
            first = midnight.replace(day=1)
            return Bucket(f"month-{first:%Y-%m}", _seconds((first + timedelta(days=31)).replace(day=1)))
        case CapPeriod.EVER:
            return Bucket(EVER, int(time) + _EVER_SECONDS)


def moves_of(event: Event, caps: Sequence[Cap]) -> list[Move]:
    """Give the steps that an event on an offer with these caps makes, none twice."""
    moves = (
        Move(cap.scope, bucket_of(cap.period, event.event_time.timestamp()), cap.counter(event.offer_id))
        for cap in caps
        if cap.event.value == event.event_type and cap.is_about(event.placement, event.channel)
    )
    return list(dict.fromkeys(moves))


def decision_moves(decided: Iterable[tuple[str, str]], caps: OfferCaps, channel: str, time: float) -> list[Move]:
    """Give the steps that an answer makes which holds offers: pairs of placement and offer id."""
    return list(dict.fromkeys(_decision_moves(decided, caps, channel, time)))


def _decision_moves(decided: Iterable[tuple[str, str]], caps: OfferCaps, channel: str, time: float) -> Iterator[Move]:
    for placement, offer_id in decided:
        for cap in caps.get(offer_id, ()):
            if cap.event is CapEvent.DECISION and cap.is_about(placement, channel):
                yield Move(cap.scope, bucket_of(cap.period, time), cap.counter(offer_id))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
