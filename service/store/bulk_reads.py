"""MGET at the least cost, for the reads that requests share.

``execute_command`` of redis-py's asyncio client takes some 170 µs of processor time, most of it around the command: a
connection of the pool is awaited, checked, counted and given back, and each half has a timer and a task of its own.
Here a command takes its connection from a list, and one timer bounds it. Connections are still those of redis-py's
pool, so that addresses, credentials, TLS, Sentinel and closing are what they are everywhere.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol, cast

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from service.store.address import Topology
from service.store.clients import AsyncClient
from service.store.connection import AsyncConnection

Values = list[bytes | None]


class BulkReads(Protocol):
    """Reads many keys at once."""

    async def get(self, names: Sequence[str]) -> Values:
        """Give the value of each key, None where there is none. Raises what redis-py raises."""


def bulk_reads(connection: AsyncConnection, timeout: float) -> BulkReads:
    """Read through a connection's client; ``timeout`` (seconds) bounds each command."""
    if connection.topology is Topology.CLUSTER:
        return _ClusterReads(connection.client)
    return _DirectReads(cast("Redis", connection.client), timeout)


class _DirectReads:
    """Reads from one server, over as many of its client's connections as there are commands at once; it keeps those."""

    def __init__(self, client: Redis, timeout: float) -> None:
        self._pool = client.connection_pool
        self._timeout = timeout
        self._free: list[AbstractConnection] = []

    async def get(self, names: Sequence[str]) -> Values:
        command = hiredis.pack_command(cast("tuple[str]", ("MGET", *names)))  # its stub knows one argument only
        while self._free:
            # The server may have closed a connection that lay idle; to read once more is harmless.
            try:
                return await self._ask(self._free.pop(), command)
            except RedisConnectionError:
                continue
        connection = await self._pool.get_connection()
        # One timer for the whole command, below, in place of one and a task for each of its halves.
        connection.socket_timeout = None
        return await self._ask(connection, command)

    async def _ask(self, connection: AbstractConnection, command: bytes) -> Values:
        """Ask over a connection that nobody else uses. Whatever goes wrong, no reply is left on it for the next."""
        try:
            async with asyncio.timeout(self._timeout):
                await connection.send_packed_command(command, check_health=False)
                values: Values = await connection.read_response(disable_decoding=True)
        except BaseException:
            connection.socket_timeout = self._timeout
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        self._free.append(connection)
        return values


class _ClusterReads:
    """Reads from a Cluster: one MGET for the keys of each hash tag, all at once."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def get(self, names: Sequence[str]) -> Values:
        places: dict[str, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(name[name.index("{") : name.index("}")], []).append(place)
        groups = list(places.values())
        answers: list[Values] = await asyncio.gather(
            *(self._client.execute_command("MGET", *(names[place] for place in group)) for group in groups)
        )
        values: Values = [None] * len(names)
        for group, answer in zip(groups, answers, strict=True):
            for place, value in zip(group, answer, strict=True):
                values[place] = value
        return values
