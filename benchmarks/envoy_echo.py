"""A bare echo on the engine ``envoy``: our framing, and a method that gives the request back."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from service.engines.engine import EngineSettings, Metadata
from service.engines.envoy.application import GrpcApplication, Scope, Send
from service.engines.envoy.attendant import Receive
from service.engines.envoy.configuration import configuration
from service.engines.envoy.process import EnvoyProcess
from service.engines.envoy.settings import EnvoySettings

PATH = "/dangol.v1.OfferService/RecommendOffers"


class _Echo:
    """Answers one path with what it is asked."""

    unary_paths = frozenset({PATH})
    stream_paths: frozenset[str] = frozenset()

    async def dispatch(self, _path: str, request: bytes, _metadata: Metadata, _deadline: float | None) -> bytes:
        return request

    def stream(
        self, path: str, requests: AsyncIterator[bytes], _metadata: Metadata, _deadline: float | None
    ) -> AsyncIterator[bytes]:
        raise NotImplementedError(path, requests)


_LIMIT = 1 << 22
_answer = GrpcApplication(_Echo(), _LIMIT, _LIMIT)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Live and answer inside Envoy."""
    if scope["type"] == "http":
        await _answer(scope, receive, send)
        return
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def run(directory: str) -> None:
    """Serve until killed; ``ready.json`` in the directory tells the address and Envoy's process id."""
    uvloop.run(_run(Path(directory)))


async def _run(directory: Path) -> None:
    admin = str(directory / "admin.sock")
    written = configuration(EngineSettings(), EnvoySettings(admin), "benchmarks.envoy_echo:application")
    envoy = await EnvoyProcess.start(directory, written, admin, "warning")
    told = {"address": f"127.0.0.1:{await envoy.wait_for_port()}", "process_id": envoy.process_id}
    writing = directory / "writing"
    writing.write_text(json.dumps(told))
    writing.replace(directory / "ready.json")
    await asyncio.Event().wait()
