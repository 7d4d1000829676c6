"""A load generator that costs little: gRPC's frames written by hand, so that the server is what is measured.

One connection a process; each call is one HEADERS and one DATA frame made beforehand, and of what comes back only the
frame headers are read. Runs in processes of its own, spawned.
"""

import asyncio
import itertools
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACKNOWLEDGED, _END_HEADERS = 0x1, 0x1, 0x4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_WINDOW = (1 << 31) - 1
_FIRST_WINDOW = 65_535
_TOP_UP = 1 << 24
_ROOM = 1 << 14  # bytes of the server's window that a request may need
_MOST_STREAMS = (3).to_bytes(2, "big")
_CONNECT_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """Says what is asked of whom: ``requests`` in turn, ``concurrency`` at once, for ``seconds``.

    With a ``rate`` (calls per second) calls begin on time whether or not earlier ones are answered, and latency counts
    from the moment at which a call should have begun. Calls are spread over ``connections``; what a connection may not
    send yet, by the server's limit of streams or its window, waits here. ``deadline`` (seconds, 0 for none) goes with
    every call; one that waits longer is given up unsent.
    """

    address: str
    path: str
    requests: Sequence[bytes]
    seconds: float
    concurrency: int = 32
    rate: float = 0.0
    connections: int = 1
    deadline: float = 0.0


@dataclass(slots=True)
class Outcome:
    """Holds what came of a load: answered ``calls``, and ``failures`` of any kind.

    ``latencies`` are seconds, of answered calls; ``refusals`` those of calls that got a status and no answer.
    ``processor`` is the processor time that asking took, in seconds.
    """

    calls: int = 0
    failures: int = 0
    elapsed: float = 0.0
    processor: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Give the answered calls per second."""
        return self.calls / self.elapsed

    def percentile(self, share: float) -> float:
        """Give the latency that this share (0 … 1) of calls stayed below, in seconds."""
        return percentile(self.latencies, share)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that this share (0 … 1) of values stayed below; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def run_load(load: Load) -> Outcome:
    """Run a load in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run, (load,))


def _run(load: Load) -> Outcome:
    return uvloop.run(_measure(load))


async def _measure(load: Load) -> Outcome:
    loop = asyncio.get_running_loop()
    host, _, port = load.address.rpartition(":")
    outcome, bodies = Outcome(), itertools.cycle(_framed(load.requests))
    callers = []
    for _ in range(load.connections):
        _, caller = await loop.create_connection(lambda: _Caller(load, bodies, outcome), host, int(port))
        async with asyncio.timeout(_CONNECT_PATIENCE):
            await caller.ready.wait()
        callers.append(caller)
    start, processor = time.perf_counter(), time.process_time()
    if load.rate:
        await _keep_rate(callers, load, start)
    else:
        for number in range(load.concurrency):
            caller = callers[number % len(callers)]
            caller.repeat = True
            caller.call(time.perf_counter())
        await asyncio.sleep(load.seconds)
    for caller in callers:
        caller.stop()
    outcome.elapsed, outcome.processor = time.perf_counter() - start, time.process_time() - processor
    return outcome


def _framed(requests: Sequence[bytes]) -> list[bytes]:
    return [b"\0" + len(request).to_bytes(4, "big") + request for request in requests]


async def _keep_rate(callers: Sequence["_Caller"], load: Load, start: float) -> None:
    begun = 0
    while (now := time.perf_counter()) - start < load.seconds:
        due = int((now - start) * load.rate)
        while begun < due:
            callers[begun % len(callers)].call(start + begun / load.rate)
            begun += 1
        await asyncio.sleep(0.001)


class _Caller(asyncio.Protocol):
    """Holds one HTTP/2 connection."""

    def __init__(self, load: Load, bodies: Iterator[bytes], outcome: Outcome) -> None:
        self._headers = _encode_headers(load.path, load.address, load.deadline)
        self._deadline = load.deadline
        self._bodies = bodies
        self._outcome = outcome
        self._started: dict[int, float] = {}
        self._backlog: deque[float] = deque()
        self._has_data: set[int] = set()
        self._streams = itertools.count(1, 2)
        self._buffer = b""
        self._unacknowledged = 0
        self._credit = _FIRST_WINDOW
        self._most_streams = _WINDOW
        self.repeat = False
        self.ready = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, as uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        settings = (4).to_bytes(2, "big") + _WINDOW.to_bytes(4, "big")
        grown = (_WINDOW - _FIRST_WINDOW).to_bytes(4, "big")
        self._transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, grown))

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
            self._transport.write(headers + _frame(_DATA, _END_STREAM, stream, body))

    def stop(self) -> None:
        """Ask no more."""
        self.repeat = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
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
                self._transport.write(_frame(_WINDOW_UPDATE, 0, 0, self._unacknowledged.to_bytes(4, "big")))
                self._unacknowledged = 0
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            answered = stream in self._has_data
            self._finished(stream, answered=answered, refused=not answered)
        elif kind in (_RESET, _GO_AWAY):
            self._finished(stream, answered=False)
        elif kind == _SETTINGS and not flags & _ACKNOWLEDGED:
            self._obey(payload)
        elif kind == _PING and not flags & _ACKNOWLEDGED:
            self._transport.write(_frame(_PING, _ACKNOWLEDGED, 0, payload))
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._credit += int.from_bytes(payload, "big")
            self._send_backlog()

    def _obey(self, settings: bytes) -> None:
        for start in range(0, len(settings), 6):
            if settings[start : start + 2] == _MOST_STREAMS:
                self._most_streams = int.from_bytes(settings[start + 2 : start + 6], "big")
        self._transport.write(_frame(_SETTINGS, _ACKNOWLEDGED, 0, b""))
        self.ready.set()

    def _finished(self, stream: int, *, answered: bool, refused: bool = False) -> None:
        begin = self._started.pop(stream, None)
        if begin is None:
            return
        now = time.perf_counter()
        self._has_data.discard(stream)
        if answered:
            self._outcome.calls += 1
            self._outcome.latencies.append(now - begin)
        else:
            self._outcome.failures += 1
            if refused:
                self._outcome.refusals.append(now - begin)
        if self.repeat:
            self.call(now)
        elif self._backlog:
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
