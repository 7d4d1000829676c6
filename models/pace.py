"""Long work on a thread beside those that callers wait for: in short turns, with rests between them.

Threads share one interpreter. One that computes lets go of it every few milliseconds only when another asks, and one
that answers calls asks anew after each look at its sockets: it would wait ten times in every answer.
"""

import time
from collections.abc import Callable

Pace = Callable[[], None]
"""Is called often in the midst of long work, and returns when it is to go on."""

_TURN = 0.0005
_SHARE = 0.25
_LONGEST_REST = 0.02


def unpaced() -> None:
    """Go on at once: the pace of work that nobody waits beside."""


class Turns:
    """Is the pace of work that takes a quarter of the time, in turns of half a millisecond."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def __call__(self) -> None:
        """Rest when the turn is over."""
        worked = time.perf_counter() - self._begun
        if worked >= _TURN:
            time.sleep(min(worked * (1 / _SHARE - 1), _LONGEST_REST))
            self._begun = time.perf_counter()
