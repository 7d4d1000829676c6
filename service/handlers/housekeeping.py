"""What some server process must do now and then for all of them: clean up after generations and customers that went."""

import asyncio
from collections.abc import Callable

import structlog

from models.errors import DangolError
from service.store.model_store import ModelStore

_INTERVAL = 60.0  # seconds; every process asks, and the one that comes first finds something to do


class Housekeeping:
    """Sweeps in the background, every minute and whenever it is nudged."""

    def __init__(self, store: ModelStore, clean: Callable[[], int], tenant: str) -> None:
        """``clean`` removes what is left of customers who were just erased; it may take its time on a thread."""
        self._store = store
        self._clean = clean
        self._tenant = tenant
        self._nudged = asyncio.Event()
        self._log = structlog.get_logger("dangol")

    def nudge(self) -> None:
        """Ask for a sweep at once."""
        self._nudged.set()

    async def run(self) -> None:
        """Sweep for ever. Runs as a task; what cannot be swept now is swept next time."""
        while True:
            try:
                async with asyncio.timeout(_INTERVAL):
                    await self._nudged.wait()
            except TimeoutError:
                pass
            self._nudged.clear()
            try:
                await self._store.sweep(self._tenant)
                await asyncio.to_thread(self._clean)
            except DangolError as error:
                self._log.warning("what is old or erased is not swept now", problem=str(error))
