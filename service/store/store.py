"""Everything that a server process needs of Redis, put together."""

import asyncio
from dataclasses import dataclass, replace
from typing import Self

from service.store.budget_store import BudgetStore
from service.store.cap_store import CapStore
from service.store.catalog_store import CatalogStore
from service.store.connection import AsyncConnection, RedisSettings, SyncConnection, connect, connect_blocking
from service.store.customer_reader import PACE_SECONDS, CustomerReader
from service.store.customer_store import CustomerStore
from service.store.disk_wait import CONNECTIONS, PATIENCE_SECONDS, DiskWait
from service.store.erasure_store import ErasureStore
from service.store.event_log import EventLog, EventLogSettings
from service.store.generation_store import GenerationStore
from service.store.health import RedisHealth
from service.store.link_store import LinkStore
from service.store.model_store import ModelStore
from service.store.push_store import PushStore

JOB_TIMEOUT = 30.0
"""Seconds that one command of a job may take."""


@dataclass(frozen=True, slots=True)
class Store:
    """Holds the ports of one process on Redis. Make and use it inside one running event loop, and close it there."""

    customers: CustomerReader
    events: EventLog
    catalog: CatalogStore
    budgets: BudgetStore
    records: CustomerStore
    links: LinkStore
    caps: CapStore
    erasures: ErasureStore
    pushes: PushStore
    models: ModelStore
    health: RedisHealth
    connections: tuple[AsyncConnection, ...]
    blocking: SyncConnection

    @classmethod
    def open(
        cls,
        settings: RedisSettings,
        event_settings: EventLogSettings | None = None,
        read_pace: float = PACE_SECONDS,
    ) -> Self:
        """Put the ports together; nothing connects before its first command. InvalidInputError names a bad setting.

        ``read_pace`` is the least time, in seconds, between two reads of customers.
        Reads of customers have connections of their own, so that no other command holds them up.
        """
        reads = connect(settings, timeout=settings.read_timeout)
        commands = connect(settings)
        waits = None
        if event_settings is not None and event_settings.on_disk:
            waits = connect(replace(settings, pool_size=CONNECTIONS), timeout=2 * PATIENCE_SECONDS)
        blocking = connect_blocking(settings, timeout=JOB_TIMEOUT)
        return cls(
            customers=CustomerReader(reads, settings.read_timeout, read_pace),
            events=EventLog(commands, event_settings, DiskWait(waits) if waits is not None else None),
            catalog=CatalogStore(commands),
            budgets=BudgetStore(commands),
            records=CustomerStore(commands),
            links=LinkStore(commands),
            caps=CapStore(commands),
            erasures=ErasureStore(commands),
            pushes=PushStore(commands),
            models=ModelStore(commands, GenerationStore(blocking)),
            health=RedisHealth(commands),
            connections=(reads, commands) if waits is None else (reads, commands, waits),
            blocking=blocking,
        )

    async def aclose(self) -> None:
        """Wait for reads in flight, then close every connection."""
        await self.customers.aclose()
        for connection in self.connections:
            await connection.aclose()
        await asyncio.to_thread(self.blocking.close)
