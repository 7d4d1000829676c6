"""gRPC as an ASGI application, for Envoy to call: HTTP/2 requests in, frames and trailers out."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from google.rpc import code_pb2

from service.engines.engine import Calls
from service.engines.envoy.attendant import Attendant, AttendedCall, Receive, this_task
from service.engines.envoy.frames import (
    ACCEPTED_ENCODINGS,
    PREFIX_SIZE,
    FrameReader,
    check_encoding,
    frame,
    only_message,
)
from service.engines.envoy.headers import Header, RequestMetadata, deadline_of, status_headers
from service.handlers.errors import StatusError, UnimplementedError

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_CONTENT_TYPE = (b"content-type", b"application/grpc")
_START = {"type": "http.response.start", "status": 200, "headers": [_CONTENT_TYPE], "trailers": True}
_FINE = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")], "more_trailers": False}
_NOTHING = {"type": "http.response.body", "body": b"", "more_body": False}
_NO_GRPC = {"type": "http.response.start", "status": 415, "headers": [(b"content-type", b"application/json")]}
_ADVICE = b'{"code": 3, "message": "the content type is neither application/grpc nor, below /v1/, application/json"}\n'
_FIRST_QUESTION, _LATER_QUESTION = 0.1, 2.0  # seconds between two looks whether the caller of a stream is still there
_FULL = 2  # messages of a stream that are read ahead


class GrpcApplication:
    """Answers gRPC calls with a dispatcher. Sizes are bytes."""

    def __init__(self, calls: Calls, maximal_request_bytes: int, maximal_response_bytes: int) -> None:
        self._calls = calls
        self._unary_paths = calls.unary_paths
        self._stream_paths = calls.stream_paths
        self._maximal_request = maximal_request_bytes
        self._maximal_response = maximal_response_bytes
        self._attendant = Attendant()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        content_type, timeout, encoding = _essentials(scope["headers"])
        if scope["method"] != "POST" or not content_type.startswith(b"application/grpc"):
            await send(_NO_GRPC)
            await send({"type": "http.response.body", "body": _ADVICE, "more_body": False})
            return
        try:
            path = _path(scope)
            is_unary = path in self._unary_paths
            if not is_unary and path not in self._stream_paths:
                raise UnimplementedError
            check_encoding(encoding)
            deadline = deadline_of(timeout) if timeout else None
            metadata = RequestMetadata(scope["headers"])
            if is_unary:
                body = await _body(receive, self._maximal_request + PREFIX_SIZE)
                if body is not None:
                    message = only_message(body, encoding, self._maximal_request)
                    await self._answer(path, message, metadata, deadline, receive, send)
            else:
                exchange = _Exchange(receive, send, encoding, self._maximal_request, self._maximal_response)
                await exchange.run(self._calls, path, metadata, deadline)
        except StatusError as error:
            await _refuse(send, error)

    async def _answer(
        self,
        path: str,
        message: bytes,
        metadata: RequestMetadata,
        deadline: float | None,
        receive: Receive,
        send: Send,
    ) -> None:
        call = self._attendant.begin(deadline, receive)
        try:
            response = await self._calls.dispatch(path, message, metadata, deadline)
        except asyncio.CancelledError:
            _end_cancelled(call)
            return
        finally:
            self._attendant.end(call)
        if len(response) > self._maximal_response:
            raise _too_large(self._maximal_response)
        await send(_START)
        await send({"type": "http.response.body", "body": frame(response), "more_body": False})
        await send(_FINE)


class _Exchange:
    """Is one streaming call: reads ahead a little, writes as the handler yields, and ends when the caller goes."""

    def __init__(
        self, receive: Receive, send: Send, encoding: str, maximal_request: int, maximal_response: int
    ) -> None:
        self._receive = receive
        self._send = send
        self._reader = FrameReader(encoding, maximal_request)
        self._maximal_response = maximal_response
        self._requests: asyncio.Queue[bytes | StatusError | None] = asyncio.Queue(_FULL)
        self._started = False
        self._finished = False
        self._gone = False
        self._is_receiving = False

    async def run(self, calls: Calls, path: str, metadata: RequestMetadata, deadline: float | None) -> None:
        """Carry the call to its end. StatusError when it failed before anything was sent."""
        task = this_task()
        pump = asyncio.create_task(self._pump(task))
        try:
            async with asyncio.timeout_at(_on_loop_clock(deadline)):
                async for response in calls.stream(path, self._taken(), metadata, deadline):
                    await self._write(response)
            await self._finish()
        except asyncio.CancelledError:
            if not self._gone:
                raise
            task.uncancel()
        except TimeoutError:
            await self._fail(_expired())
        except StatusError as error:
            await self._fail(error)
        finally:
            self._finished = True
            # While it receives it ends by itself, with the disconnect: Envoy's futures may not be cancelled.
            if not self._is_receiving:
                pump.cancel()

    async def _pump(self, task: asyncio.Task[Any]) -> None:
        """Bring requests in; when the caller has gone, end the call."""
        more, interval = True, _FIRST_QUESTION
        while True:
            self._is_receiving = True
            event = await self._receive()
            self._is_receiving = False
            if event["type"] != "http.request" or self._finished:
                self._leave(task)
                return
            if not more:
                # Asked after the end of the request, Envoy says at once how things stand (see Attendant).
                # Every client watches health, silently for as long as all is well: many of those must not cost much.
                await asyncio.sleep(interval)
                interval = min(2 * interval, _LATER_QUESTION)
                continue
            more = event.get("more_body", False)
            try:
                for message in self._reader.feed(event.get("body", b"")):
                    await self._requests.put(message)
                if not more:
                    self._reader.finish()
            except StatusError as error:
                await self._requests.put(error)
                more = False
            if not more:
                await self._requests.put(None)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        if not self._finished:
            self._gone = True
            task.cancel()

    async def _taken(self) -> AsyncIterator[bytes]:
        while (request := await self._requests.get()) is not None:
            if isinstance(request, StatusError):
                raise request
            yield request

    async def _write(self, response: bytes) -> None:
        if len(response) > self._maximal_response:
            raise _too_large(self._maximal_response)
        await self._begin()
        await self._send({"type": "http.response.body", "body": frame(response), "more_body": True})

    async def _finish(self) -> None:
        await self._begin()
        await self._send(_NOTHING)
        await self._send(_FINE)

    async def _fail(self, error: StatusError) -> None:
        if not self._started:
            await _refuse(self._send, error)
            return
        await self._send(_NOTHING)
        trailers = {"type": "http.response.trailers", "headers": status_headers(error), "more_trailers": False}
        await self._send(trailers)

    async def _begin(self) -> None:
        if not self._started:
            self._started = True
            await self._send(_START)


def _essentials(headers: list[Header]) -> tuple[bytes, bytes, str]:
    """Give content type, timeout and encoding."""
    given = dict(headers)
    encoding = given.get(b"grpc-encoding")
    return (
        given.get(b"content-type", b""),
        given.get(b"grpc-timeout", b""),
        "identity" if encoding is None else encoding.decode("latin-1"),
    )


def _path(scope: Scope) -> str:
    """Give the path exactly as it was sent; one with a query is none of ours."""
    return "" if scope["query_string"] else scope["raw_path"].decode("latin-1")


async def _body(receive: Receive, maximum: int) -> bytes | None:
    """Read a whole request body; None when the caller left before its end. StatusError when it is too large."""
    event = await receive()
    if event["type"] != "http.request":
        return None
    body: bytes = event["body"]
    pieces, size = [body], len(body)
    while event.get("more_body", False):
        if size > maximum:
            break
        event = await receive()
        if event["type"] != "http.request":
            return None
        pieces.append(event["body"])
        size += len(pieces[-1])
    return body if len(pieces) == 1 else b"".join(pieces)


def _end_cancelled(call: AttendedCall) -> None:
    """Take a cancellation back that the attendant asked for. StatusError when the caller still waits for a word."""
    if not (call.expired or call.abandoned):
        raise asyncio.CancelledError
    call.task.uncancel()
    if call.expired:
        raise _expired()


def _on_loop_clock(deadline: float | None) -> float | None:
    # uvloop's clock is monotonic, but counts from elsewhere and in whole milliseconds.
    if deadline is None:
        return None
    return asyncio.get_running_loop().time() + deadline - time.monotonic()


async def _refuse(send: Send, error: StatusError) -> None:
    """Answer with nothing but a status, in one header block."""
    headers = [_CONTENT_TYPE, (b"grpc-accept-encoding", ACCEPTED_ENCODINGS), *status_headers(error)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send(_NOTHING)


def _expired() -> StatusError:
    return StatusError(code_pb2.DEADLINE_EXCEEDED, "the deadline of the call has passed", "DEADLINE_EXCEEDED")


def _too_large(maximum: int) -> StatusError:
    problem = f"the response would be larger than {maximum} bytes"
    return StatusError(code_pb2.RESOURCE_EXHAUSTED, problem, "RESPONSE_TOO_LARGE")
