"""A bare echo on grpcio: the library and event loop of the engine, and a method that gives the request back."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import uvloop


def run(directory: str) -> None:
    """Serve until killed; ``ready.json`` in the directory tells the address."""
    uvloop.run(_run(Path(directory)))


async def _run(directory: Path) -> None:
    server = grpc.aio.server(handlers=(_Echo(),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    writing = directory / "writing"
    writing.write_text(json.dumps({"address": address}))
    writing.replace(directory / "ready.json")
    await asyncio.Event().wait()


class _Echo(grpc.GenericRpcHandler):
    def service(self, _details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.unary_unary_rpc_method_handler(cast("Any", _give_back))


async def _give_back(request: bytes, _context: object) -> bytes:
    return request
