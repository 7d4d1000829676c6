"""When a customer is expected to buy again, told by how they bought so far."""

import itertools
from collections.abc import Sequence
from datetime import UTC
from statistics import median

from models.events import PURCHASE
from models.profile import ProfileEvent

_LEAST_DAYS = 3


def next_purchase_time(events: Sequence[ProfileEvent]) -> float | None:
    """Give the last purchase plus the median pause between days (UTC) with a purchase, in seconds since 1970.

    ``events`` stand newest first. None with purchases on fewer than three days: two pauses are the least that says
    anything of a habit.
    """
    days: dict[object, float] = {}
    for event in events:
        if event.event_type == PURCHASE:
            days.setdefault(event.event_time.astimezone(UTC).date(), event.event_time.timestamp())
    times = list(days.values())
    if len(times) < _LEAST_DAYS:
        return None
    return times[0] + median(later - earlier for later, earlier in itertools.pairwise(times))
