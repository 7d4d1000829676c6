"""The composition root of a server process: everything is made here, handed over, and ended in order."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
import uvloop
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, start_http_server

from models.errors import DangolError, InvalidInputError, UnavailableError
from models.registry import Registry
from service.engines.engine import Engine, EngineSettings
from service.engines.grpcio import GrpcioEngine
from service.handlers.admission import Admission
from service.handlers.api import SERVICE_NAMES, Api
from service.handlers.caller import Caller
from service.handlers.catalog_handlers import CatalogHandlers
from service.handlers.customer_reads import CustomerReads, ReadSettings
from service.handlers.dispatcher import Dispatcher, Metadata
from service.handlers.event_handlers import EventHandlers
from service.handlers.health import Health
from service.handlers.housekeeping import Housekeeping
from service.handlers.logs import configure_logs
from service.handlers.model_handlers import ModelHandlers
from service.handlers.offers import OfferHandlers
from service.handlers.snapshots import Snapshots, SnapshotSettings
from service.handlers.telemetry import Telemetry
from service.settings import Settings, split_address
from service.store.connection import RedisSettings
from service.store.embedded import EmbeddedRedis
from service.store.health import RedisHealth
from service.store.store import Store

LOCAL_IDENTITY = "local"
_FACTS_TIMEOUT = 2.0
_PROBE_PATIENCE = 2  # read timeouts that a lost Redis gets to answer a probe
_GIVE_UP_READ = 8  # read timeouts after which the connection of an unanswered read is closed


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. InvalidInputError when an address cannot be had."""
    configure_logs(settings.log_level)
    with _redis_url(settings) as url:
        uvloop.run(_serve(settings, url))


@contextlib.contextmanager
def _redis_url(settings: Settings) -> Iterator[str]:
    """Give the URL of Redis; the private one runs as long as the context."""
    if settings.redis_url:
        yield settings.redis_url
    else:
        with EmbeddedRedis(settings.home / "redis") as embedded:
            yield embedded.url


@dataclass(frozen=True, slots=True)
class _Server:
    """Holds what a running server is made of."""

    engine: Engine
    health: Health
    admission: Admission
    snapshots: Snapshots
    reads: CustomerReads
    housekeeping: Housekeeping
    metrics: CollectorRegistry


async def _serve(settings: Settings, redis_url: str) -> None:
    log = structlog.get_logger("dangol")
    stopping = _stop_on_signals()
    async with _opened(_redis_settings(settings, redis_url)) as store:
        with ThreadPoolExecutor(1, thread_name_prefix="snapshot") as executor:
            server = _compose(settings, store, executor)
            await _warn_of(store.health, log)
            await server.snapshots.refresh()
            port = await server.engine.start()
            with _metrics(settings, server.metrics) as metrics_port, _tasks(server) as tasks:
                _tell_ready(settings, port, metrics_port, log)
                await _until_stopped(stopping, tasks)
                await _drain(server, settings, log)
    log.info("stopped")


def _compose(settings: Settings, store: Store, executor: ThreadPoolExecutor) -> _Server:
    """Make every part and hand it what it needs."""
    registry = CollectorRegistry()
    telemetry = Telemetry(registry, settings.hash_key, log_calls=settings.log_calls)
    health = Health(SERVICE_NAMES)
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
    housekeeping = Housekeeping(store.models, settings.tenant)
    api = Api(
        offers=OfferHandlers(snapshots, reads),
        events=EventHandlers(store.events, settings.write_timeout, frozenset(settings.extra_event_types)),
        catalog=CatalogHandlers(store.catalog, snapshots, settings.write_timeout),
        models=ModelHandlers(store.models, snapshots, reads, _on_move(settings, housekeeping)),
        health=health,
        reflects=settings.reflection,
    )
    telemetry.watch(lambda: admission.in_flight, lambda: snapshots.generation, lambda: snapshots.age)
    dispatcher = Dispatcher(api.methods(), _local_caller(settings.tenant), admission, telemetry)
    engine = GrpcioEngine(dispatcher, _engine_settings(settings))
    return _Server(engine, health, admission, snapshots, reads, housekeeping, registry)


@contextlib.contextmanager
def _tasks(server: _Server) -> Iterator[list[asyncio.Task[None]]]:
    """Run what goes on in the background as long as the context."""
    coroutines = (server.snapshots.follow(), server.reads.probe(), server.housekeeping.run())
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


def _on_move(settings: Settings, housekeeping: Housekeeping) -> Callable[[str], None]:
    """Let the registry's CURRENT follow the pointer, and have the lists that came or went seen to."""
    directory = settings.registry_directory
    log = structlog.get_logger("dangol")

    def moved(version: str) -> None:
        housekeeping.nudge()
        if directory is None:
            return
        try:
            Registry(directory).promote(version)
        except (DangolError, OSError) as error:
            # The pointer in Redis has moved already; what is served is right, only the directory lags behind.
            log.warning("CURRENT of the registry could not follow", model_version=version, problem=str(error))

    return moved


def _engine_settings(settings: Settings) -> EngineSettings:
    host, port = split_address(settings.listen)
    return EngineSettings(
        host=host,
        port=port,
        maximal_request_bytes=settings.maximal_request_bytes,
        maximal_response_bytes=settings.maximal_response_bytes,
        keepalive_time=settings.keepalive_time,
        keepalive_timeout=settings.keepalive_timeout,
        minimal_ping_interval=settings.minimal_ping_interval,
        maximal_connection_age=settings.maximal_connection_age,
    )


def _redis_settings(settings: Settings, url: str) -> RedisSettings:
    return RedisSettings(
        url=url,
        username=settings.redis_username,
        password_file=settings.redis_password_file,
        ca_file=settings.redis_ca_file,
        certificate_file=settings.redis_certificate_file,
        key_file=settings.redis_key_file,
        connect_timeout=settings.redis_connect_timeout,
        command_timeout=settings.redis_command_timeout,
        read_timeout=_GIVE_UP_READ * settings.read_timeout,
        pool_size=settings.redis_pool_size,
    )


@contextlib.asynccontextmanager
async def _opened(settings: RedisSettings) -> AsyncIterator[Store]:
    store = Store.open(settings)
    try:
        yield store
    finally:
        await store.aclose()


@contextlib.contextmanager
def _metrics(settings: Settings, registry: CollectorRegistry) -> Iterator[int | None]:
    """Serve metrics over HTTP and give the port; None when they are off."""
    if settings.metrics_listen == "off":
        yield None
        return
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    host, port = split_address(settings.metrics_listen)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise InvalidInputError("metrics_listen", f"cannot listen on {settings.metrics_listen}") from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def _warn_of(redis: RedisHealth, log: structlog.stdlib.BoundLogger) -> None:
    """Say what an operator should know of this Redis. PreconditionError when it is too old to be used."""
    try:
        facts = await redis.facts(_FACTS_TIMEOUT)
    except UnavailableError as error:
        log.warning("redis cannot be reached yet", problem=str(error))
        return
    for warning in facts.warnings:
        log.warning(warning)


def _tell_ready(settings: Settings, port: int, metrics_port: int | None, log: structlog.stdlib.BoundLogger) -> None:
    """Say where the server listens: in the log and, when asked to, in a file that appears whole."""
    host, _ = split_address(settings.listen)
    addresses: dict[str, str | int] = {"address": f"{host}:{port}", "process_id": os.getpid()}
    if metrics_port is not None:
        addresses["metrics_address"] = f"{split_address(settings.metrics_listen)[0]}:{metrics_port}"
    log.info("listening", engine=settings.engine, **addresses)
    if settings.ready_file is not None:
        beside = settings.ready_file.with_name(f".{settings.ready_file.name}.writing")
        beside.write_text(json.dumps(addresses))
        beside.replace(settings.ready_file)


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def _until_stopped(stopping: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the signal; should a background task end, which none may, raise what ended it."""
    waiting = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done - {waiting}:
        task.result()


async def _drain(server: _Server, settings: Settings, log: structlog.stdlib.BoundLogger) -> None:
    """Say NOT_SERVING, give balancers a moment to notice, take no new calls, and let those in flight finish."""
    log.info("draining", in_flight=server.admission.in_flight)
    server.health.shut_down()
    await asyncio.sleep(settings.drain_delay)
    stopping = asyncio.create_task(server.engine.stop(settings.drain_timeout))
    if not await server.admission.wait_until_idle(settings.drain_timeout):
        log.warning("calls were cut off", in_flight=server.admission.in_flight)
    await stopping
