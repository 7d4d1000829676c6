"""The cheap load generator for gRPC: its frames written by hand, so that the server is what is measured.

Each call is one HEADERS and one DATA frame made beforehand, and of what comes back only the frame headers are read.
"""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence

from benchmarks.caller import Caller
from benchmarks.outcome import Outcome

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACKNOWLEDGED, _END_HEADERS = 0x1, 0x1, 0x4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_WINDOW = (1 << 31) - 1
_FIRST_WINDOW = 65_535
_TOP_UP = 1 << 24
_ROOM = 1 << 14  # bytes of the server's window that a request may need
_MOST_STREAMS = (3).to_bytes(2, "big")


def framed(requests: Sequence[bytes]) -> list[bytes]:
    """Put before each message what gRPC wants there."""
    return [b"\0" + len(request).to_bytes(4, "big") + request for request in requests]


class GrpcCaller(Caller):
    """Holds one HTTP/2 connection."""

    def __init__(self, path: str, authority: str, deadline: float, bodies: Iterator[bytes], outcome: Outcome) -> None:
        """``deadline`` (seconds, 0 for none) goes with every call; one that waits longer is given up unsent."""
        super().__init__(outcome)
        self._headers = _encode_headers(path, authority, deadline)
        self._deadline = deadline
        self._bodies = bodies
        self._started: dict[int, float] = {}
        self._backlog: deque[float] = deque()
        self._has_data: set[int] = set()
        self._streams = itertools.count(1, 2)
        self._buffer = b""
        self._unacknowledged = 0
        self._credit = _FIRST_WINDOW
        self._most_streams = _WINDOW

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the server and grant it all the window there is."""
        super().connection_made(transport)
        settings = (4).to_bytes(2, "big") + _WINDOW.to_bytes(4, "big")
        grown = (_WINDOW - _FIRST_WINDOW).to_bytes(4, "big")
        self.transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, grown))

    def call(self, begin: float) -> None:
        """Begin a call whose latency counts from ``begin``, now or as soon as the server lets this connection."""
        self._backlog.append(begin)
        self._send_backlog()

    def _send_backlog(self) -> None:
        while self._backlog and len(self._started) < self._most_streams and self._credit > _ROOM:
            begin = self._backlog.popleft()
            if self._deadline and time.perf_counter() - begin > self._deadline:
                self._outcome.failures += 1
                continue
            body = next(self._bodies)
            self._credit -= len(body)
            stream = next(self._streams)
            self._started[stream] = begin
            headers = _frame(_HEADERS, _END_HEADERS, stream, self._headers)
            self.transport.write(headers + _frame(_DATA, _END_STREAM, stream, body))

    def data_received(self, data: bytes) -> None:
        """Take frames apart."""
        buffer = self._buffer + data if self._buffer else data
        position, end = 0, len(buffer)
        while end - position >= 9:
            size = int.from_bytes(buffer[position : position + 3], "big")
            if end - position - 9 < size:
                break
            stream = int.from_bytes(buffer[position + 5 : position + 9], "big")
            payload = buffer[position + 9 : position + 9 + size]
            self._take(buffer[position + 3], buffer[position + 4], stream, payload)
            position += 9 + size
        self._buffer = buffer[position:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._has_data.add(stream)
            self._unacknowledged += len(payload)
            if self._unacknowledged > _TOP_UP:
                self.transport.write(_frame(_WINDOW_UPDATE, 0, 0, self._unacknowledged.to_bytes(4, "big")))
                self._unacknowledged = 0
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            answered = stream in self._has_data
            self._finished(stream, answered=answered, refused=not answered)
        elif kind in (_RESET, _GO_AWAY):
            self._finished(stream, answered=False)
        elif kind == _SETTINGS and not flags & _ACKNOWLEDGED:
            self._obey(payload)
        elif kind == _PING and not flags & _ACKNOWLEDGED:
            self.transport.write(_frame(_PING, _ACKNOWLEDGED, 0, payload))
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._credit += int.from_bytes(payload, "big")
            self._send_backlog()

    def _obey(self, settings: bytes) -> None:
        for start in range(0, len(settings), 6):
            if settings[start : start + 2] == _MOST_STREAMS:
                self._most_streams = int.from_bytes(settings[start + 2 : start + 6], "big")
        self.transport.write(_frame(_SETTINGS, _ACKNOWLEDGED, 0, b""))
        self.ready.set()

    def _finished(self, stream: int, *, answered: bool, refused: bool = False) -> None:
        begin = self._started.pop(stream, None)
        if begin is None:
            return
        self._has_data.discard(stream)
        self.note(begin, answered=answered, refused=refused)
        if self._backlog and not self.repeat:
            self._send_backlog()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _encode_headers(path: str, authority: str, deadline: float) -> bytes:
    """Write the headers of a gRPC call in HPACK (RFC 7541): names by the static table, values as plain literals."""

    def text(value: str) -> bytes:
        encoded = value.encode()
        return bytes((len(encoded),)) + encoded

    method, scheme = b"\x83", b"\x86"
    timeout = b"\x00" + text("grpc-timeout") + text(f"{round(deadline * 1000)}m") if deadline else b""
    return (
        method
        + scheme
        + b"\x04"
        + text(path)
        + b"\x01"
        + text(authority)
        + b"\x0f\x10"
        + text("application/grpc")
        + b"\x00"
        + text("te")
        + text("trailers")
        + timeout
    )
