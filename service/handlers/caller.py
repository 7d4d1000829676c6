"""Who asks, and by when an answer is wanted."""

import time
from dataclasses import dataclass, field

from models.errors import DeadlineError


@dataclass(frozen=True, slots=True)
class Caller:
    """Is whoever sent the request. Every key in Redis begins with the tenant."""

    identity: str
    tenant: str
    scopes: frozenset[str] = frozenset()


@dataclass(slots=True)
class Context:
    """Accompanies one call.

    ``deadline`` is on the clock of :func:`time.monotonic`, in seconds; None when the caller set none. ``facts``
    are what the handler wants to see in the log line and in the metrics, ``customer_id`` what it shows as a hash.
    """

    deadline: float | None = None
    facts: dict[str, str | int | float] = field(default_factory=dict)
    customer_id: str = ""

    def budget(self, maximum: float, share: float = 1.0) -> float:
        """Give how many seconds a step may take: ``maximum`` or that share of what remains, whichever is less.

        DeadlineError when nothing remains.
        """
        if self.deadline is None:
            return maximum
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineError("the deadline of the call has passed")
        return min(maximum, remaining * share)
