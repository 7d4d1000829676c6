"""The server's process: chooses the engine, runs it, and ends in order."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvloop

from models.errors import InvalidInputError
from service.composition import Running, running
from service.engines.engine import Engine
from service.engines.envoy.availability import obstacle
from service.engines.envoy.configuration import as_text
from service.engines.grpcio import GrpcioEngine
from service.handlers.logs import configure_logs
from service.process import engine_settings, stop_on_signals, tell_ready
from service.settings import Settings
from service.store.embedded import EmbeddedRedis
from service.supervisor import admin_address, envoy_configuration, supervise


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    InvalidInputError when an address cannot be had, or when the engine that is asked for cannot run here.
    """
    configure_logs(settings.log_level)
    chosen = settings.model_copy(update={"engine": choose_engine(settings.engine)})
    with _redis_url(chosen) as url:
        uvloop.run(supervise(chosen, url) if chosen.engine == "envoy" else _serve(chosen, url))


def envoy_configuration_text(settings: Settings) -> str:
    """Give, as JSON, the configuration that Envoy gets. InvalidInputError when Envoy cannot run here."""
    choose_engine("envoy")
    return as_text(envoy_configuration(settings, admin_address(settings, Path("/run/dangol"))))


def choose_engine(wish: str) -> str:
    """Give the engine for a wish: ``auto`` takes Envoy where it can run. InvalidInputError naming ``engine``."""
    if wish == "grpcio":
        return wish
    missing = obstacle()
    if missing is None:
        return "envoy"
    if wish == "auto":
        return "grpcio"
    raise InvalidInputError("engine", f"envoy cannot run here: {missing}")


@contextlib.contextmanager
def _redis_url(settings: Settings) -> Iterator[str]:
    """Give the URL of Redis; the private one runs as long as the context."""
    if settings.redis_url:
        yield settings.redis_url
    else:
        with EmbeddedRedis(settings.home / "redis") as embedded:
            yield embedded.url


async def _serve(settings: Settings, redis_url: str) -> None:
    log = structlog.get_logger("dangol")
    stopping = stop_on_signals()
    async with running(settings, redis_url) as server:
        engine = GrpcioEngine(server.parts.dispatcher, engine_settings(settings))
        port = await engine.start()
        tell_ready(settings, port, server.metrics_port)
        await _until_stopped(stopping, server.tasks)
        await _drain(engine, server, settings, log)
    log.info("stopped")


async def _until_stopped(stopping: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the signal; should a background task end, which none may, raise what ended it."""
    waiting = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in done - {waiting}:
        task.result()


async def _drain(engine: Engine, server: Running, settings: Settings, log: structlog.stdlib.BoundLogger) -> None:
    """Say NOT_SERVING, give balancers a moment to notice, take no new calls, and let those in flight finish."""
    admission = server.parts.admission
    log.info("draining", in_flight=admission.in_flight)
    server.parts.health.shut_down()
    await asyncio.sleep(settings.drain_delay)
    stopping = asyncio.create_task(engine.stop(settings.drain_timeout))
    if not await admission.wait_until_idle(settings.drain_timeout):
        log.warning("calls were cut off", in_flight=admission.in_flight)
    await stopping
