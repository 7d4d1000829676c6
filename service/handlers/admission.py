"""How many calls are worked on at once. Beyond that a call is refused at once, unprocessed, rather than queued."""

import asyncio

from models.errors import OverloadedError


class Admission:
    """Counts the calls in flight; also tells when the last one has finished."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = 0

    def enter(self, *, exempt: bool) -> None:
        """Take a place for one call. OverloadedError when all are taken and the call is not exempt."""
        if self.in_flight >= self._maximum and not exempt:
            raise OverloadedError("the server works on as many calls as it can; ask again later or ask another one")
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
