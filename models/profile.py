"""What is known live of one customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

MAXIMAL_PROFILE_EVENTS = 256
"""How many events a profile remembers: the newest ones."""


@dataclass(frozen=True, slots=True)
class ProfileEvent:
    """Is what a profile remembers of an event. ``event_time`` is UTC and aware; an id is empty where there was none."""

    event_type: str
    item_id: str
    offer_id: str
    event_time: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """Holds a customer's recent events, newest first, at most MAXIMAL_PROFILE_EVENTS."""

    events: Sequence[ProfileEvent]


EMPTY_PROFILE = Profile(())
"""The profile of somebody who did nothing yet."""
