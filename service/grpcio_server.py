"""The server whose process answers calls itself, with the reference engine."""

import asyncio

import structlog

from service.composition import Running, running
from service.engines.engine import Engine
from service.engines.grpcio import GrpcioEngine
from service.process import engine_settings, stop_on_signals, tell_ready
from service.settings import Settings


async def serve_with_grpcio(settings: Settings, redis_url: str) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return. InvalidInputError when an address cannot be had."""
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
    server.parts.health.end_watches()
    stopping = asyncio.create_task(engine.stop(settings.drain_timeout))
    if not await admission.wait_until_idle(settings.drain_timeout):
        log.warning("calls were cut off", in_flight=admission.in_flight)
    await stopping
