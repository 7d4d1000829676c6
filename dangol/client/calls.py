"""One call on either kind of channel: its deadline, and the error it ends in."""

# grpc's own classes cannot be subscripted while the program runs, only in annotations that are not evaluated.
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self, TypeVar, cast

import grpc

from dangol.client.errors import FailedCall, error_of
from dangol.client.options import DEFAULT_TIMEOUT, DEFAULT_WRITE_TIMEOUT, Tls, channel_options

HEALTH_METHOD = "/grpc.health.v1.Health/Check"

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


class Calls:
    """Owns a blocking channel."""

    def __init__(
        self,
        target: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        write_timeout: float = DEFAULT_WRITE_TIMEOUT,
        tls: Tls | None = None,
    ) -> None:
        self.target = target
        self._timeout = timeout
        self._write_timeout = write_timeout
        options = channel_options(tls)
        if tls is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            self._channel = grpc.secure_channel(target, tls.credentials(), options)

    def _read(
        self, method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float | None
    ) -> ResponseT:
        return self._call(method, request, self._timeout if timeout is None else timeout)

    def _write(
        self, method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float | None
    ) -> ResponseT:
        return self._call(method, request, self._write_timeout if timeout is None else timeout)

    def _stream(
        self,
        method: grpc.StreamStreamMultiCallable[RequestT, ResponseT],
        requests: Iterator[RequestT],
        timeout: float | None,
    ) -> Iterator[ResponseT]:
        try:
            yield from method(requests, timeout=timeout)
        except grpc.RpcError as failure:
            raise error_of(cast("FailedCall", failure), self.target) from None

    def _answers(
        self, method: grpc.UnaryStreamMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float | None
    ) -> Iterator[ResponseT]:
        call = method(request, timeout=timeout)
        try:
            yield from call
        except grpc.RpcError as failure:
            raise error_of(cast("FailedCall", failure), self.target) from None
        finally:
            call.cancel()

    def _call(
        self, method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float
    ) -> ResponseT:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as failure:
            # What a blocking call raises is a grpc.Call too; grpc's own types do not say so.
            raise error_of(cast("FailedCall", failure), self.target) from None

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncCalls:
    """Owns an asyncio channel; it belongs to the event loop that made it."""

    def __init__(
        self,
        target: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        write_timeout: float = DEFAULT_WRITE_TIMEOUT,
        tls: Tls | None = None,
    ) -> None:
        self.target = target
        self._timeout = timeout
        self._write_timeout = write_timeout
        options = channel_options(tls)
        if tls is None:
            self._channel = grpc.aio.insecure_channel(target, options)
        else:
            self._channel = grpc.aio.secure_channel(target, tls.credentials(), options)

    async def _read(
        self, method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float | None
    ) -> ResponseT:
        return await self._call(method, request, self._timeout if timeout is None else timeout)

    async def _write(
        self, method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float | None
    ) -> ResponseT:
        return await self._call(method, request, self._write_timeout if timeout is None else timeout)

    async def _stream(
        self,
        method: grpc.aio.StreamStreamMultiCallable[RequestT, ResponseT],
        requests: AsyncIterator[RequestT],
        timeout: float | None,
    ) -> AsyncIterator[ResponseT]:
        try:
            async for response in method(requests, timeout=timeout):
                yield response
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure, self.target) from None

    async def _answers(
        self, method: grpc.aio.UnaryStreamMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float | None
    ) -> AsyncIterator[ResponseT]:
        call = method(request, timeout=timeout)
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure, self.target) from None
        finally:
            call.cancel()

    async def _call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT, timeout: float
    ) -> ResponseT:
        try:
            return await method(request, timeout=timeout)
        except grpc.aio.AioRpcError as failure:
            raise error_of(cast("FailedCall", failure), self.target) from None

    async def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
