"""The cheap load generator for HTTP/1.1: requests written beforehand, of answers only status and length are read."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.caller import Caller
from benchmarks.outcome import Outcome

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_HEADER_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Queue:
    """Holds what the connections of one load share: calls not begun yet, and who is free to begin one."""

    waiting: deque[float] = field(default_factory=deque)
    free: deque["HttpCaller"] = field(default_factory=deque)


class HttpCaller(Caller):
    """Holds one connection that is kept alive: one call at a time. A call goes to whichever connection is free."""

    def __init__(self, queue: Queue, requests: Iterator[bytes], outcome: Outcome) -> None:
        super().__init__(outcome)
        self._queue = queue
        self._requests = requests
        self._buffer = b""
        self._begin: float | None = None
        queue.free.append(self)
        self.ready.set()

    def call(self, begin: float) -> None:
        """Begin a call whose latency counts from ``begin``, now or as soon as a connection is free."""
        waiting, free = self._queue.waiting, self._queue.free
        waiting.append(begin)
        while waiting and free:
            free.popleft().send(waiting.popleft())

    def send(self, begin: float) -> None:
        """Write the next request, now."""
        self._begin = begin
        self.transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Take an answer, once all of it is there."""
        self._buffer += data
        end = self._buffer.find(_HEADER_END)
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end + 2)
        if length is None:
            raise ValueError(f"an answer does not tell its length: {self._buffer[:end]!r}")
        if len(self._buffer) >= end + len(_HEADER_END) + int(length[1]):
            answered = self._buffer.startswith(b"HTTP/1.1 200 ")
            self._buffer = b""
            self._end(answered=answered)

    def _end(self, *, answered: bool) -> None:
        begin, self._begin = self._begin, None
        if begin is None:
            raise ValueError("an answer that nobody asked for")
        self._queue.free.append(self)
        self.note(begin, answered=answered, refused=not answered)
        if self._queue.waiting and self._queue.free:
            self._queue.free.popleft().send(self._queue.waiting.popleft())


def written(target: bytes, authority: str) -> bytes:
    """Write a GET."""
    return b"GET %b HTTP/1.1\r\nHost: %b\r\nAccept: application/json\r\n\r\n" % (target, authority.encode())
