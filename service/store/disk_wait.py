"""Waits until Redis has on its disk what it answered, once for all writes of a moment (``WAITAOF``, Redis 7.2)."""

import asyncio

from models.errors import PreconditionError, UnavailableError
from service.store.address import Topology
from service.store.clients import Argument
from service.store.connection import AsyncConnection, SyncConnection
from service.store.faults import reaching_redis
from service.store.keys import MetaKeys

PACE_SECONDS = 0.05
"""Writes of so long wait together: with ``appendfsync everysec`` they wait for half a second on average anyway."""
PATIENCE_SECONDS = 4.0
"""After this long without the disk a wait is given up; a disk that is so slow holds up everything."""
CONNECTIONS = 96
"""A connection that waits does nothing else: as many as there are paces in the patience, and some."""


class DiskWait:
    """Lets writers wait for the disk. Its connection should be one of its own, with CONNECTIONS and a long timeout.

    The append-only file holds commands in the order of their answers. Redis waits for what a connection itself wrote,
    so each wait writes a mark first: when that is on disk, everything answered before it is.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        """PreconditionError on a Cluster, where each primary has a disk of its own."""
        if connection.topology is Topology.CLUSTER:
            raise PreconditionError(
                "durability `fsync` is not for a Cluster: set its `appendfsync` to `always` instead"
            )
        self._client = connection.client
        self._rounds: dict[str, asyncio.Task[None]] = {}

    async def settle(self, tenant: str) -> None:
        """Return when what Redis answered before this call is on its disk. UnavailableError when it cannot be told."""
        if tenant not in self._rounds:
            self._rounds[tenant] = asyncio.create_task(self._round(tenant))
        # Whoever gives up must not end the wait of the others.
        await asyncio.shield(self._rounds[tenant])

    async def _round(self, tenant: str) -> None:
        await asyncio.sleep(PACE_SECONDS)
        # Whoever comes from here on waits for the next mark.
        del self._rounds[tenant]
        with reaching_redis():
            pipeline = self._client.pipeline(transaction=False)
            for command in _commands(tenant):
                pipeline.execute_command(*command)
            _, synced = await pipeline.execute()
        _check(synced)


def settle_blocking(connection: SyncConnection, tenant: str) -> None:
    """Do as :meth:`DiskWait.settle` does, blocking."""
    with reaching_redis():
        pipeline = connection.client.pipeline(transaction=False)
        for command in _commands(tenant):
            pipeline.execute_command(*command)
        _, synced = pipeline.execute()
    _check(synced)


def _commands(tenant: str) -> tuple[tuple[Argument, ...], ...]:
    return ("SET", MetaKeys(tenant).settled, 1), ("WAITAOF", 1, 0, int(PATIENCE_SECONDS * 1_000))


def _check(synced: list[int]) -> None:
    if synced[0] < 1:
        raise UnavailableError("Redis did not bring its append-only file to the disk in time")
