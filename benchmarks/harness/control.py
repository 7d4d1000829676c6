"""A bare echo beside the servers: what it cannot answer in time, the machine could not, whatever the product does."""

# grpc's own classes cannot be subscripted while the program runs, only in annotations that are not evaluated.
from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import grpc
import grpc.aio
import uvloop

ECHO = "/control/Echo"


@contextlib.contextmanager
def running_echo() -> Iterator[str]:
    """Run the echo in a process of its own, on the same engine as the servers, and give its address."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(there,))
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()
        here.close()
        there.close()


def _run(connection: Connection[Any, Any]) -> None:
    uvloop.run(_serve(connection.send))


async def _serve(tell: Callable[[str], None]) -> None:
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"Echo": grpc.unary_unary_rpc_method_handler(_give_back)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("control", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tell(f"127.0.0.1:{port}")
    await asyncio.Event().wait()


async def _give_back(request: bytes, _context: object) -> bytes:
    return request
