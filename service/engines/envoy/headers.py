"""What gRPC says in HTTP headers and trailers: timeouts, metadata, status."""

import base64
import binascii
import time
from collections.abc import Iterator, Sequence
from typing import overload

from google.rpc import code_pb2

from service.handlers.errors import StatusError

Header = tuple[bytes, bytes]
Pair = tuple[str, str | bytes]

_UNITS = {b"n": 1e-9, b"u": 1e-6, b"m": 1e-3, b"S": 1.0, b"M": 60.0, b"H": 3600.0}
_NOT_METADATA = frozenset({b"host", b"content-type", b"te", b"user-agent"})
_TEXT = frozenset(range(0x20, 0x7F)) - {ord("%")}


def deadline_of(timeout: bytes) -> float:
    """Turn ``grpc-timeout`` into a point of :func:`time.monotonic`. StatusError when it makes no sense."""
    number, unit = timeout[:-1], _UNITS.get(timeout[-1:])
    if unit is None or not number.isdigit() or len(number) > 8:
        raise StatusError(code_pb2.INTERNAL, "grpc-timeout makes no sense", "MALFORMED_TIMEOUT")
    return time.monotonic() + int(number) * unit


def status_headers(error: StatusError) -> list[Header]:
    """Say a status: code, message and details."""
    return [
        (b"grpc-status", str(error.code).encode()),
        (b"grpc-message", _percent_encoded(error.message)),
        (b"grpc-status-details-bin", base64.b64encode(error.details).rstrip(b"=")),
    ]


class RequestMetadata(Sequence[Pair]):
    """Shows the headers of a request as gRPC's metadata, decoded only when somebody looks: hardly any call needs it."""

    __slots__ = ("_headers", "_pairs")

    def __init__(self, headers: Sequence[Header]) -> None:
        self._headers = headers
        self._pairs: list[Pair] | None = None

    def __len__(self) -> int:
        return len(self._decoded())

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | Sequence[Pair]:
        return self._decoded()[index]

    def _decoded(self) -> list[Pair]:
        if self._pairs is None:
            self._pairs = list(_pairs(self._headers))
        return self._pairs


def _pairs(headers: Sequence[Header]) -> Iterator[Pair]:
    for name, value in headers:
        if name in _NOT_METADATA or name.startswith((b":", b"grpc-")):
            continue
        key = name.decode("latin-1")
        if not name.endswith(b"-bin"):
            yield key, value.decode("latin-1")
            continue
        # Several values of one binary key may come joined by commas, each with or without padding.
        for part in value.split(b","):
            yield key, _decoded_value(part.strip())


def _decoded_value(value: bytes) -> bytes:
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        raise StatusError(code_pb2.INTERNAL, "a binary header is not base64", "MALFORMED_METADATA") from None


def _percent_encoded(message: str) -> bytes:
    return b"".join(b"%c" % byte if byte in _TEXT else b"%%%02X" % byte for byte in message.encode())
