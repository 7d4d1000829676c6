"""What a server process wants to know of Redis: whether it answers, how old it is, whether it keeps what it is told."""

import asyncio
from dataclasses import dataclass
from typing import Any

from models.errors import PreconditionError
from service.store.connection import AsyncConnection, SyncConnection
from service.store.faults import reaching_redis

OLDEST_VERSION = (7, 0)
DISK_WAIT_VERSION = (7, 2)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Says what a Redis server told of itself; None where it did not say."""

    version: str
    append_only: bool | None

    def check_disk_wait(self) -> None:
        """PreconditionError where nobody can wait for the disk: before Redis 7.2, and without append-only file."""
        if tuple(int(part) for part in self.version.split(".")[:2]) < DISK_WAIT_VERSION:
            raise PreconditionError(f"durability `fsync` needs Redis 7.2 or newer, not {self.version}")
        if self.append_only is False:
            raise PreconditionError("durability `fsync` needs a Redis with an append-only file")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Say what an operator should know before relying on this server."""
        if self.append_only is False:
            return ("Redis runs without append-only file: acknowledged events are lost when it restarts",)
        return ()


class RedisHealth:
    """Asks Redis how it is."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._client = connection.client

    async def ping(self, timeout: float) -> None:
        """Return when Redis answers within ``timeout`` seconds. UnavailableError otherwise."""
        with reaching_redis():
            async with asyncio.timeout(timeout):
                await self._client.execute_command("PING")

    async def facts(self, timeout: float) -> ServerFacts:
        """Ask for version and persistence. PreconditionError below Redis 7.0, UnavailableError without an answer."""
        with reaching_redis():
            async with asyncio.timeout(timeout):
                return _facts(await self._client.execute_command("INFO"))


def server_facts(connection: SyncConnection) -> ServerFacts:
    """Do as :meth:`RedisHealth.facts` does, blocking."""
    with reaching_redis():
        return _facts(connection.client.execute_command("INFO"))


def _facts(answer: dict[str, Any]) -> ServerFacts:
    # A Cluster answers by node; its nodes are alike in what matters here.
    info = next(iter(answer.values())) if answer and all(isinstance(part, dict) for part in answer.values()) else answer
    version = str(info.get("redis_version", ""))
    major, minor = (int(part) for part in version.split(".")[:2]) if version else OLDEST_VERSION
    if (major, minor) < OLDEST_VERSION:
        raise PreconditionError(f"Redis {version} is too old: 7.0 is the oldest that works")
    append_only = info.get("aof_enabled")
    return ServerFacts(version, None if append_only is None else bool(append_only))
