"""Pushes: what waits to be sent to a customer, and what is remembered of what became of it."""

from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Push:
    """Is one thing to tell one customer. Times are seconds since 1970, UTC.

    ``key`` names it within its customer for ever: nothing is pushed twice for one key. ``motive_time`` is when that
    happened which it is about, and ``item_id`` and ``offer_id`` are about what, empty where it is not about one.
    ``due_time`` is when it is to be sent, ``expire_time`` from when on it is not worth sending.
    """

    key: str
    customer_id: str
    trigger: str
    item_id: str
    offer_id: str
    motive_time: float
    due_time: float
    expire_time: float

    @property
    def push_id(self) -> str:
        """Name it among all pushes."""
        return push_id_of(self.customer_id, self.key)


def push_id_of(customer_id: str, key: str) -> str:
    """Give the id of a push: BLAKE2b (12 bytes) of customer id, line feed and key in UTF-8, in hexadecimal.

    Ids hold no line feed, so no two pairs give the same text.
    """
    return blake2b(f"{customer_id}\n{key}".encode(), digest_size=12).hexdigest()


class PushState(Enum):
    """Tells what became of a push."""

    WAITING = "waiting"
    SENT = "sent"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class PushMark:
    """Is what is remembered of a push: ``time`` (seconds since 1970, UTC) is since when it is in its state.

    ``reason`` says why it was dropped, empty otherwise.
    """

    push_id: str
    trigger: str
    item_id: str
    offer_id: str
    state: PushState
    time: float
    reason: str = ""
