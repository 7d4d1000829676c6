"""The composition root: every part of a server is made here, handed what it needs, and ended in order.

Which engine carries the calls is decided elsewhere; the parts do not know it.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from models.erasures import Erasure, ErasureList
from models.errors import DangolError, UnavailableError
from models.registry import Registry
from service.handlers.admission import Admission
from service.handlers.api import Api
from service.handlers.audience_handlers import AudienceHandlers
from service.handlers.caller import Caller
from service.handlers.candidate_indexes import CandidateIndexes
from service.handlers.caps import Caps
from service.handlers.catalog_handlers import CatalogHandlers
from service.handlers.contract import EARLY_SERVICES, SERVICE_NAMES
from service.handlers.customer_handlers import CustomerHandlers
from service.handlers.customer_reads import CustomerReads, ReadSettings
from service.handlers.customer_views import CustomerViews
from service.handlers.dispatcher import Dispatcher, Metadata
from service.handlers.erasing import Erasing
from service.handlers.event_handlers import EventHandlers
from service.handlers.evidence import Evidence
from service.handlers.exposures import Exposures
from service.handlers.health import Health
from service.handlers.housekeeping import Housekeeping
from service.handlers.model_handlers import ModelHandlers
from service.handlers.offers import OfferHandlers
from service.handlers.push_handlers import PushHandlers
from service.handlers.push_judge import PushJudge
from service.handlers.reservations import Reservations
from service.handlers.snapshots import Snapshots, SnapshotSettings
from service.handlers.telemetry import Telemetry
from service.metrics_server import serving_metrics
from service.redis_access import event_log_settings, redis_settings
from service.settings import Settings
from service.store.candidate_scan import index_candidates
from service.store.connection import RedisSettings
from service.store.customer_reader import PACE_SECONDS
from service.store.event_log import EventLogSettings
from service.store.health import RedisHealth
from service.store.residues import clean_shared
from service.store.store import Store

LOCAL_IDENTITY = "local"
_FACTS_TIMEOUT = 2.0
_SWITCH_INTERVAL = 0.0005
"""Seconds that the event loop waits for a thread that computes; it asks several times in every answer."""
_PROBE_PATIENCE = 2  # read timeouts that a lost Redis gets to answer a probe


@dataclass(frozen=True, slots=True)
class Parts:
    """Holds what a running server is made of, but for the engine."""

    dispatcher: Dispatcher
    health: Health
    admission: Admission
    snapshots: Snapshots
    reads: CustomerReads
    caps: Caps
    indexes: CandidateIndexes
    housekeeping: Housekeeping
    exposures: Exposures
    metrics: CollectorRegistry
    telemetry: Telemetry


@dataclass(frozen=True, slots=True)
class Running:
    """Is a server at work: its parts, its background tasks, and the port of its metrics."""

    parts: Parts
    tasks: list[asyncio.Task[None]]
    metrics_port: int | None


@contextlib.asynccontextmanager
async def running(settings: Settings, redis_url: str, read_pace: float = PACE_SECONDS) -> AsyncIterator[Running]:
    """Run everything but the engine as long as the context. InvalidInputError when metrics cannot be served there.

    ``read_pace`` is the least time, in seconds, between two reads of customers, as the engine hands calls over.
    """
    log = structlog.get_logger("dangol")
    sys.setswitchinterval(_SWITCH_INTERVAL)
    async with _opened(redis_settings(settings, redis_url), event_log_settings(settings), read_pace) as store:
        with ThreadPoolExecutor(1, thread_name_prefix="snapshot") as executor:
            parts = _compose(settings, store, executor)
            await _warn_of(store.health, log, on_disk=settings.durability == "fsync")
            await parts.snapshots.refresh()
            await parts.caps.refresh()
            with _metrics(settings, parts.metrics) as metrics_port, _tasks(parts) as tasks:
                try:
                    yield Running(parts, tasks, metrics_port)
                    await parts.exposures.flush()
                finally:
                    await parts.indexes.aclose()
                    parts.telemetry.flush()


def _compose(settings: Settings, store: Store, executor: ThreadPoolExecutor) -> Parts:
    """Make every part and hand it what it needs."""
    registry = CollectorRegistry()
    telemetry = Telemetry(registry, settings.hash_key, log_calls=settings.log_calls)
    health = Health(SERVICE_NAMES, EARLY_SERVICES)
    admission = Admission(settings.maximal_calls)
    snapshots = Snapshots(
        store.models,
        store.catalog,
        executor,
        SnapshotSettings(settings.tenant, settings.poll_interval),
        on_change=lambda: health.set_serving(snapshots.is_loaded),
    )
    read_settings = ReadSettings(
        settings.read_timeout, settings.probe_interval, _PROBE_PATIENCE * settings.read_timeout
    )
    reads = CustomerReads(store.customers, store.health, telemetry, read_settings)
    housekeeping = Housekeeping(store.models, partial(clean_shared, store.blocking, settings.tenant), settings.tenant)
    reservations = Reservations(store.budgets, store.links, snapshots, settings.read_timeout, settings.write_timeout)
    caps = Caps(store.caps, snapshots, settings.tenant, settings.read_timeout)
    exposures = Exposures(store.events, settings.write_timeout, is_lost=lambda: reads.is_open)
    indexes = CandidateIndexes(partial(index_candidates, store.blocking), settings.audience_lifetime)
    evidence, judge = Evidence(store.models), PushJudge(store.pushes, reservations, caps, settings.write_timeout)
    api = Api(
        offers=OfferHandlers(snapshots, reads, reservations, caps, exposures, evidence, store.models.sample_customers),
        events=EventHandlers(
            store.events,
            settings.write_timeout,
            frozenset(settings.extra_event_types),
            is_lost=lambda: reads.is_open,
            redeem=reservations.redeem,
            caps=snapshots.caps,
        ),
        customers=_customers(settings, store, snapshots, reads, housekeeping),
        audiences=AudienceHandlers(snapshots, reads, caps, indexes),
        pushes=PushHandlers(store.pushes, judge, snapshots, reads, telemetry, settings.write_timeout),
        catalog=CatalogHandlers(
            store.catalog, store.budgets, store.caps, store.models, snapshots, settings.write_timeout
        ),
        models=ModelHandlers(
            store.models, snapshots, reads, _on_move(settings, housekeeping), on_change=housekeeping.nudge
        ),
        health=health,
        reflects=settings.reflection,
    )
    telemetry.watch(admission, lambda: snapshots.generation, lambda: snapshots.age)
    dispatcher = Dispatcher(api.methods(), _local_caller(settings.tenant), admission, telemetry)
    return Parts(
        dispatcher, health, admission, snapshots, reads, caps, indexes, housekeeping, exposures, registry, telemetry
    )


def _customers(
    settings: Settings, store: Store, snapshots: Snapshots, reads: CustomerReads, housekeeping: Housekeeping
) -> CustomerHandlers:
    timeout, on_erase = settings.write_timeout, _on_erase(settings, housekeeping)
    views = CustomerViews(snapshots, reads, store.pushes, timeout)
    erasing = Erasing(store.erasures, store.links, store.budgets, snapshots, timeout, on_erase)
    return CustomerHandlers(store.records, store.links, snapshots, reads, views, erasing, timeout)


@contextlib.contextmanager
def _tasks(parts: Parts) -> Iterator[list[asyncio.Task[None]]]:
    """Run what goes on in the background as long as the context."""
    coroutines = (
        parts.snapshots.follow(),
        parts.reads.probe(),
        parts.caps.follow(),
        parts.housekeeping.run(),
        parts.exposures.run(),
        parts.admission.follow(),
    )
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()


def _local_caller(tenant: str) -> Callable[[Metadata], Caller]:
    """Take every call for one of the local shop: whoever reaches the port may call."""
    caller = Caller(LOCAL_IDENTITY, tenant)
    return lambda _metadata: caller


def _on_erase(settings: Settings, housekeeping: Housekeeping) -> Callable[[Erasure], Awaitable[None]]:
    """Write erasures down beside the models, and have what is left in shared places seen to."""
    directory = settings.registry_directory
    log = structlog.get_logger("dangol")

    async def erased(erasure: Erasure) -> None:
        housekeeping.nudge()
        if directory is None:
            return
        try:
            await asyncio.to_thread(ErasureList(directory).add, [erasure])
        except (DangolError, OSError) as error:
            # Redis holds it as well; `dangol erasures apply` brings it to the registry.
            log.warning("an erasure could not be written beside the models", problem=str(error))

    return erased


def _on_move(settings: Settings, housekeeping: Housekeeping) -> Callable[[str, str], None]:
    """Let the registry's CURRENT follow the pointer with a note, and have the lists that came or went seen to."""
    directory = settings.registry_directory
    log = structlog.get_logger("dangol")

    def moved(version: str, note: str) -> None:
        housekeeping.nudge()
        log.info("what is served was moved", model_version=version, by=note)
        if directory is None:
            return
        try:
            Registry(directory).promote(version, note)
        except (DangolError, OSError) as error:
            # The pointer in Redis has moved already; what is served is right, only the directory lags behind.
            log.warning("CURRENT of the registry could not follow", model_version=version, problem=str(error))

    return moved


@contextlib.asynccontextmanager
async def _opened(settings: RedisSettings, event_settings: EventLogSettings, read_pace: float) -> AsyncIterator[Store]:
    store = Store.open(settings, event_settings, read_pace)
    try:
        yield store
    finally:
        await store.aclose()


@contextlib.contextmanager
def _metrics(settings: Settings, registry: CollectorRegistry) -> Iterator[int | None]:
    """Serve metrics over HTTP and give the port; None when they are off."""
    if settings.metrics_listen != "off":
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
    with serving_metrics(settings.metrics_listen, registry) as port:
        yield port


async def _warn_of(redis: RedisHealth, log: structlog.stdlib.BoundLogger, *, on_disk: bool) -> None:
    """Say what an operator should know of this Redis. PreconditionError when it cannot be used as the settings say."""
    try:
        facts = await redis.facts(_FACTS_TIMEOUT)
    except UnavailableError as error:
        log.warning("redis cannot be reached yet", problem=str(error))
        return
    if on_disk:
        facts.check_disk_wait()
    for warning in facts.warnings:
        log.warning(warning)
