"""The server inside Envoy: what Envoy's configuration names, and calls for its life and for every request."""

import asyncio
import os

import structlog

from models.errors import UnavailableError
from service.composition import Running, running
from service.engines.envoy.application import GrpcApplication, Scope, Send
from service.engines.envoy.attendant import Receive
from service.lifeline import Lifeline, confession
from service.logs import configure_logs
from service.settings import Settings, handed_over

_READ_PACE = 0.001
"""Seconds. Envoy hands over many calls at once, so that reads are shared sooner than under grpcio."""


class EnvoyApplication:
    """Is the ASGI application: made empty, brought to life by the settings that its supervisor hands over."""

    def __init__(self) -> None:
        self._answer: GrpcApplication | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live from the start of Envoy to its end."""
        if self._answer is not None and scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        lifeline = await Lifeline.inherited()
        try:
            await self._serve(lifeline, receive, send)
        except Exception as error:  # noqa: BLE001 - the outermost layer: the supervisor tells whatever it is
            _confess(lifeline, error)
            await send({"type": "lifespan.startup.failed", "message": "its supervisor knows why"})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, lifeline: Lifeline, receive: Receive, send: Send) -> None:
        settings = await _settings(lifeline)
        configure_logs(settings.log_level)
        async with running(settings, settings.redis_url, _READ_PACE) as server:
            self._answer = GrpcApplication(
                server.parts.dispatcher, settings.maximal_request_bytes, settings.maximal_response_bytes
            )
            lifeline.tell(metrics_port=server.metrics_port)
            await send({"type": "lifespan.startup.complete"})
            orders = asyncio.create_task(_obey(lifeline, server))
            watches = [asyncio.create_task(_watch(task, lifeline)) for task in server.tasks]
            await receive()
            for task in (orders, *watches):
                task.cancel()


async def _settings(lifeline: Lifeline) -> Settings:
    word = await lifeline.hear()
    if word is None:
        raise UnavailableError("the supervisor has gone")
    return handed_over(word["settings"])


async def _obey(lifeline: Lifeline, server: Running) -> None:
    """Do what the supervisor says; end at once when it has gone."""
    while (word := await lifeline.hear()) is not None:
        match word["order"]:
            case "health-off":
                server.parts.health.shut_down()
            case "end-watches":
                server.parts.health.end_watches()
            case "finish":
                await server.parts.admission.wait_until_idle(word["timeout"])
                lifeline.tell(in_flight=server.parts.admission.in_flight)
    _end()


async def _watch(task: asyncio.Task[None], lifeline: Lifeline) -> None:
    """Tell the supervisor when a background task ends, which none may."""
    try:
        await asyncio.shield(task)
    except Exception as error:  # noqa: BLE001 - whatever ended it, the server cannot go on
        _confess(lifeline, error)


def _confess(lifeline: Lifeline, error: Exception) -> None:
    structlog.get_logger("dangol").error("the server cannot go on", exc_info=error)
    lifeline.tell(**confession(error))


def _end() -> None:
    # Nobody is left who could drain: calls are not finished for a supervisor that was killed.
    os._exit(1)


application = EnvoyApplication()
