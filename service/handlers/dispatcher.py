"""The one way into the handlers: bytes in, bytes or a :class:`StatusError` out, whatever the engine."""

import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence

from google.protobuf.message import Message

from service.handlers.admission import Admission
from service.handlers.caller import Caller, Context
from service.handlers.errors import InternalError, StatusError, UnimplementedError, to_status
from service.handlers.methods import Method, StreamMethod, UnaryMethod
from service.handlers.telemetry import Telemetry

Metadata = Sequence[tuple[str, str | bytes]]
Identify = Callable[[Metadata], Caller]
"""Turns the metadata of a call into the caller. DangolError when nobody may call so."""


class Dispatcher:
    """Finds the method, admits the call, runs it, maps what went wrong, and writes it all down."""

    def __init__(
        self, methods: Iterable[Method], identify: Identify, admission: Admission, telemetry: Telemetry
    ) -> None:
        table = list(methods)
        self._unary = {method.path: method for method in table if isinstance(method, UnaryMethod)}
        self._streams = {method.path: method for method in table if isinstance(method, StreamMethod)}
        self._identify = identify
        self._admission = admission
        self._telemetry = telemetry

    @property
    def unary_paths(self) -> frozenset[str]:
        """Names the methods for :meth:`dispatch`."""
        return frozenset(self._unary)

    @property
    def stream_paths(self) -> frozenset[str]:
        """Names the methods for :meth:`stream`."""
        return frozenset(self._streams)

    async def dispatch(self, path: str, request: bytes, metadata: Metadata, deadline: float | None) -> bytes:
        """Answer one call.

        ``path`` must be one of the table exactly; ``deadline`` is on the clock of :func:`time.monotonic`. Raises
        nothing but StatusError (and CancelledError when the engine gives the call up).
        """
        start = time.monotonic()
        context = Context(deadline)
        method = self._unary.get(path)
        status = "CANCELLED"
        try:
            if method is None:
                raise UnimplementedError  # noqa: TRY301 - mapped like whatever else goes wrong
            context.budget(1.0)
            caller = self._identify(metadata)
            self._admission.enter(exempt=method.exempt)
            try:
                response = await method.handler(caller, method.request_class.FromString(request), context)
            finally:
                self._admission.leave()
            encoded = response if isinstance(response, bytes) else response.SerializeToString()
            status = "OK"
        except Exception as error:  # noqa: BLE001 - the outermost layer: whatever happens becomes a status
            mapped = self._mapped(error, context)
            status = mapped.code_name
            raise mapped from None
        else:
            return encoded
        finally:
            self._telemetry.call(path if method is not None else "", status, time.monotonic() - start, context)

    async def stream(
        self, path: str, requests: AsyncIterator[bytes], metadata: Metadata, deadline: float | None
    ) -> AsyncIterator[bytes]:
        """Answer one streaming call, message by message, under the same rules as :meth:`dispatch`."""
        start = time.monotonic()
        context = Context(deadline)
        method = self._streams.get(path)
        status = "CANCELLED"
        try:
            if method is None:
                raise UnimplementedError  # noqa: TRY301 - mapped like whatever else goes wrong
            async with contextlib.aclosing(self._stream(method, requests, metadata, context)) as responses:
                async for response in responses:
                    yield response
            status = "OK"
        except Exception as error:  # noqa: BLE001 - the outermost layer, as above
            mapped = self._mapped(error, context)
            status = mapped.code_name
            raise mapped from None
        finally:
            self._telemetry.call(path if method is not None else "", status, time.monotonic() - start, context)

    async def _stream(
        self, method: StreamMethod, requests: AsyncIterator[bytes], metadata: Metadata, context: Context
    ) -> AsyncGenerator[bytes, None]:
        caller = self._identify(metadata)
        if not method.exempt:
            self._admission.enter(exempt=False)
        try:
            async for response in method.handler(caller, _parsed(method.request_class, requests), context):
                yield response if isinstance(response, bytes) else response.SerializeToString()
        finally:
            if not method.exempt:
                self._admission.leave()

    def _mapped(self, error: Exception, context: Context) -> StatusError:
        mapped = to_status(error)
        context.facts["reason"] = mapped.reason
        if isinstance(mapped, InternalError):
            self._telemetry.unexpected(mapped.error_id, error)
        return mapped


async def _parsed(request_class: type[Message], requests: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for request in requests:
        yield request_class.FromString(request)
