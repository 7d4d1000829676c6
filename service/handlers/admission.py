"""How many calls are worked on at once. Beyond that a call is refused at once, unprocessed, rather than queued.

The limit adapts itself to what calls cost, by the delay of the event loop's own queue, where all of them wait for the
processor. A delay that never falls below the target for a whole interval is a standing queue and not a burst, as in
CoDel (K. Nichols and V. Jacobson, "Controlling Queue Delay", ACM Queue 10(5), 2012; RFC 8289, whose 5 ms and 100 ms
these are). Then the limit is lowered by a share; otherwise it rises by steps (additive increase, multiplicative
decrease).
"""

import asyncio
import time

import structlog

from models.errors import OverloadedError

TARGET = 0.005
"""Seconds that something may wait in the event loop's queue for good."""
INTERVAL = 0.1
"""Seconds between two looks at the limit."""
LOWEST_LIMIT = 32
"""So many calls are answered within a page's patience in any case; a machine that stalls for a moment refuses none."""
_BEAT = 0.01
_LEAST_SHARE = 0.5
_STEP = 4
_RETRY_DELAYS = tuple(0.1 + 0.05 * step for step in range(8))  # seconds; not the same for all, or all come back at once
_MESSAGE = "the server works on as many calls as it can; ask again later or ask another one"


class Admission:
    """Counts the calls in flight and holds them below a limit; also tells when the last one has finished."""

    def __init__(self, maximum: int) -> None:
        """``maximum`` bounds the limit, which begins there."""
        self._maximum = maximum
        self._lowest = min(LOWEST_LIMIT, maximum)
        self._idle = asyncio.Event()
        self._idle.set()
        self._refused = 0
        self._log = structlog.get_logger("dangol")
        self.in_flight = 0
        self.limit = maximum

    def enter(self, *, exempt: bool) -> None:
        """Take a place for one call. OverloadedError when all are taken and the call is not exempt."""
        if self.in_flight >= self.limit and not exempt:
            self._refused += 1
            raise OverloadedError(_MESSAGE, _RETRY_DELAYS[self._refused % len(_RETRY_DELAYS)])
        self.in_flight += 1
        self._idle.clear()

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self._idle.set()

    async def wait_until_idle(self, timeout: float) -> bool:
        """Wait until no call is in flight; False when some still are after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def follow(self) -> None:
        """Adapt the limit for ever. Runs as a task."""
        while True:
            self.adapt(await _least_delay())

    def adapt(self, delay: float) -> None:
        """Move the limit after an interval in which nothing waited for less than ``delay`` seconds."""
        refused, self._refused = self._refused, 0
        if delay > TARGET:
            share = max(TARGET / delay, _LEAST_SHARE)
            self.limit = max(self._lowest, int(min(self.limit, self.in_flight + 1) * share))
        else:
            self.limit = min(self._maximum, self.limit + _STEP)
        if refused:
            self._log.warning("calls are refused", refused=refused, limit=self.limit, seconds=INTERVAL)


async def _least_delay() -> float:
    """Give the least delay with which this task was called back within an interval."""
    least, begun = float("inf"), time.monotonic()
    while (due := time.monotonic() + _BEAT) - begun <= INTERVAL:
        await asyncio.sleep(_BEAT)
        least = min(least, time.monotonic() - due)
    return least
