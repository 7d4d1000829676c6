"""What the training expects of a customer: how they stand among all, whether they come back, when and for how much."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTLOOK = np.dtype(
    [
        ("recency", "u1"),
        ("frequency", "u1"),
        ("monetary", "u1"),
        ("churn_risk", "<f4"),
        ("value", "<f4"),
        ("purchase_days", "<f4"),
    ]
)
"""One customer's outlook: scores 1 … 5, all 0 for whoever bought nothing; the probability that they buy no more; what
they are expected to spend in VALUE_DAYS, in the money of the sources; days from the last event that the model learned
from to the next purchase, below 0 when it is overdue."""

OutlookArray = NDArray[Any]
"""A structured array of dtype OUTLOOK."""

VALUE_DAYS = 90

_RISK_STEPS = 63
_VALUE_STEPS = 1_023
_STEPS_PER_DOUBLING = 32
_SMALLEST_VALUE = 2.0**-4
_DAYS = (-127, 383)
_VALUE_PLACE, _RISK_PLACE, _DAYS_PLACE = 7, 17, 23


@dataclass(frozen=True, slots=True)
class Outlook:
    """Is the outlook of one customer, as OUTLOOK says; ``purchase_days`` are whole ones."""

    recency: int
    frequency: int
    monetary: int
    churn_risk: float
    value: float
    purchase_days: int

    @property
    def segment(self) -> str:
        """Name the segment that recency and frequency put the customer in."""
        return segment_of(self.recency, self.frequency)


def segment_of(recency: int, frequency: int) -> str:
    """Name the segment of two scores, 1 … 5: how lately, and within that how often."""
    often = frequency >= 3
    if recency >= 4:
        return ("promising", "loyal", "champions")[often + (frequency >= 4)]
    if recency == 3:
        return "steady" if often else "fading"
    return "at-risk" if often else "lost"


SEGMENTS = tuple(sorted({segment_of(recency, frequency) for recency in range(1, 6) for frequency in range(1, 6)}))
"""The names of all segments."""


def are_sound(outlooks: OutlookArray) -> bool:
    """Tell whether outlooks (n,) hold nothing that cannot be: scores beyond 5, or numbers that are not finite."""
    scores = np.stack([outlooks[name] for name in ("recency", "frequency", "monetary")])
    numbers = np.stack([outlooks[name] for name in ("churn_risk", "value", "purchase_days")])
    whole = (scores > 0).all(axis=0) | (scores == 0).all(axis=0)
    return bool(whole.all() and (scores <= 5).all() and np.isfinite(numbers).all() and (outlooks["value"] >= 0).all())


def pack_outlooks(outlooks: OutlookArray) -> NDArray[np.uint32]:
    """Give each outlook in 32 bits, 0 for none: (n,) OUTLOOK to (n,). docs/redis-layout.md gives the bits.

    What is beyond the range of a number becomes its end.
    """
    scores = 25 * outlooks["recency"].astype(np.int64) + 5 * outlooks["frequency"] + outlooks["monetary"] - 30
    with np.errstate(divide="ignore"):
        doublings = np.log2(outlooks["value"].astype(np.float64) / _SMALLEST_VALUE)
    value = np.clip(np.rint(1 + _STEPS_PER_DOUBLING * doublings), 0, _VALUE_STEPS).astype(np.int64)
    risk = np.rint(np.clip(outlooks["churn_risk"], 0, 1) * _RISK_STEPS).astype(np.int64)
    days = np.clip(np.rint(outlooks["purchase_days"]), *_DAYS).astype(np.int64) - _DAYS[0]
    packed = scores | value << _VALUE_PLACE | risk << _RISK_PLACE | days << _DAYS_PLACE
    return np.where(outlooks["recency"] > 0, packed, 0).astype(np.uint32)


def unpack_outlook(packed: int) -> Outlook | None:
    """Read what :func:`pack_outlooks` wrote; None for 0, which says that nothing is known."""
    scores = (packed & 127) - 1
    if not 0 <= scores < 125:
        return None
    value = packed >> _VALUE_PLACE & _VALUE_STEPS
    return Outlook(
        recency=scores // 25 + 1,
        frequency=scores // 5 % 5 + 1,
        monetary=scores % 5 + 1,
        churn_risk=(packed >> _RISK_PLACE & _RISK_STEPS) / _RISK_STEPS,
        value=_SMALLEST_VALUE * 2 ** ((value - 1) / _STEPS_PER_DOUBLING) if value else 0.0,
        purchase_days=(packed >> _DAYS_PLACE) + _DAYS[0],
    )
