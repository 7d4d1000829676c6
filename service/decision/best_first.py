"""Customers in the order of what they are really worth, while it is known only of those who were looked at."""

import heapq
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

Verdict = TypeVar("Verdict")


class Standing(NamedTuple):
    """Says where a customer stands: the lower, the better. Of two with the same score the lower digest is better."""

    negative_score: float
    digest: int


class BestFirst(Generic[Verdict]):
    """Holds back whoever turned out to be worth less than expected, until nobody better can come.

    Customers are looked at in the order of the most that they can be worth; so nobody who is still to come stands
    before the one who is looked at next (the threshold algorithm of Fagin, Lotem and Naor, PODS 2001).
    """

    def __init__(self) -> None:
        self._held: list[tuple[Standing, int, Verdict]] = []
        self._count = 0

    def add(self, standing: Standing, verdict: Verdict) -> None:
        """Take a customer who was looked at."""
        heapq.heappush(self._held, (standing, self._count, verdict))
        self._count += 1

    def before(self, bound: Standing | None) -> Iterator[tuple[Standing, Verdict]]:
        """Give, and forget, who stands before the next one to be looked at; everybody where there is none."""
        while self._held and (bound is None or self._held[0][0] < bound):
            standing, _, verdict = heapq.heappop(self._held)
            yield standing, verdict
