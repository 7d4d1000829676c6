"""The reference engine: grpcio on asyncio."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from models.errors import InvalidInputError
from service.engines.engine import Calls, EngineSettings, Metadata, TlsSettings
from service.handlers.errors import StatusError, UnimplementedError

_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}

if TYPE_CHECKING:
    # Generic in the stubs only.
    Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcioEngine:
    """Carries calls over grpcio. One event loop per process: that is a limit of grpcio's."""

    def __init__(self, calls: Calls, settings: EngineSettings) -> None:
        self._settings = settings
        self._server = grpc.aio.server(handlers=(_Router(calls),), options=_options(settings))

    async def start(self) -> int:
        """Listen, and give the port. InvalidInputError naming ``port`` when it cannot be had."""
        address = f"{self._settings.host}:{self._settings.port}"
        try:
            port = self._add_port(address)
        except RuntimeError as error:
            raise InvalidInputError("port", f"cannot listen on {address}") from error
        await self._server.start()
        return port

    def _add_port(self, address: str) -> int:
        tls = self._settings.tls
        if tls is None:
            return self._server.add_insecure_port(address)
        return self._server.add_secure_port(address, _credentials(tls))

    async def stop(self, grace: float) -> None:
        """Take no new calls, let those in flight finish for ``grace`` seconds, then end them."""
        await self._server.stop(grace)


class _Router(grpc.GenericRpcHandler):
    """Gives grpcio the handler of a path, exactly as it stands in the table; anything else is refused."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            path: grpc.unary_unary_rpc_method_handler(self._unary(path)) for path in calls.unary_paths
        }
        self._handlers |= {
            path: grpc.stream_stream_rpc_method_handler(self._stream(path)) for path in calls.stream_paths
        }
        self._unknown: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(_refuse)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return self._handlers.get(handler_call_details.method, self._unknown)

    def _unary(self, path: str) -> Any:  # noqa: ANN401 - grpcio's stubs know only the blocking kind of handler
        dispatch = self._calls.dispatch

        async def answer(request: bytes, context: Context) -> bytes:
            try:
                return await dispatch(path, request, _metadata(context), _deadline(context))
            except StatusError as error:
                await _abort(context, error)

        return answer

    def _stream(self, path: str) -> Any:  # noqa: ANN401 - as above
        stream = self._calls.stream

        async def answer(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            try:
                async for response in stream(path, requests, _metadata(context), _deadline(context)):
                    yield response
            except StatusError as error:
                await _abort(context, error)

        return answer


async def _refuse(_request: bytes, context: Context) -> bytes:
    await _abort(context, UnimplementedError())


async def _abort(context: Context, error: StatusError) -> NoReturn:
    await context.abort(_CODES[error.code], error.message, ((_DETAILS_KEY, error.details),))


def _metadata(context: Context) -> Metadata:
    # An iterable of pairs, and nothing else is relied upon: a tuple here, another type in a later grpcio.
    return tuple(context.invocation_metadata() or ())


def _deadline(context: Context) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None or math.isinf(remaining) else time.monotonic() + remaining


def _options(settings: EngineSettings) -> list[tuple[str, int]]:
    options = [
        ("grpc.max_receive_message_length", settings.maximal_request_bytes),
        ("grpc.max_send_message_length", settings.maximal_response_bytes),
        ("grpc.keepalive_time_ms", _milliseconds(settings.keepalive_time)),
        ("grpc.keepalive_timeout_ms", _milliseconds(settings.keepalive_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_concurrent_streams", settings.maximal_streams),
        ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(settings.minimal_ping_interval)),
        # Turned away in C: 17 µs, where a refusal from Python takes as long as many an answer.
        ("grpc.server.max_pending_requests", settings.maximal_waiting),
        ("grpc.server.max_pending_requests_hard_limit", settings.maximal_waiting),
        # Each process has a port of its own unless the operator shares one on purpose; a taken port is an error.
        ("grpc.so_reuseport", int(settings.share_port)),
    ]
    if settings.maximal_connection_age > 0:
        options.append(("grpc.max_connection_age_ms", _milliseconds(settings.maximal_connection_age)))
    return options


def _credentials(tls: TlsSettings) -> grpc.ServerCredentials:
    authority = tls.client_ca_file
    return grpc.ssl_server_credentials(
        [(tls.key_file.read_bytes(), tls.certificate_file.read_bytes())],
        root_certificates=authority.read_bytes() if authority is not None else None,
        require_client_auth=authority is not None,
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
