"""One connection of a load, whatever is spoken on it: begins calls, and notes what came of each."""

import asyncio
import time
from typing import cast

from benchmarks.outcome import Outcome


class Caller(asyncio.Protocol):
    """Holds one connection. With ``repeat`` a call that ended begins the next; ``ready`` says that calls may begin."""

    transport: asyncio.Transport

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._stopped = False
        self.repeat = False
        self.ready = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection that was made."""
        # A cast, as uvloop's transports are of no class of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _error: Exception | None) -> None:
        """Count as a failure that somebody else ended the connection."""
        self._outcome.failures += not self._stopped

    def call(self, begin: float) -> None:
        """Begin a call whose latency counts from ``begin``, now or as soon as the server lets it begin."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask no more."""
        self.repeat, self._stopped = False, True
        self.transport.abort()

    def note(self, begin: float, *, answered: bool, refused: bool = False) -> None:
        """Note what came of the call that should have begun at ``begin``, and begin the next if that is wanted."""
        now = time.perf_counter()
        if answered:
            self._outcome.calls += 1
            self._outcome.latencies.append(now - begin)
        else:
            self._outcome.failures += 1
            if refused:
                self._outcome.refusals.append(now - begin)
        if self.repeat:
            self.call(now)
