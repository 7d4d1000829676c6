"""Ends calls that nobody waits for any more: their deadline has passed, or their caller has gone."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]

_INTERVAL = 0.005
_LOOKS_PER_QUESTION = 4


def this_task() -> asyncio.Task[Any]:
    """Give the task that runs."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("there is no task outside of the event loop")
    return task


class AttendedCall:
    """Is one call being worked on. ``expired`` and ``abandoned`` say why its task was cancelled, if it was."""

    __slots__ = ("abandoned", "deadline", "expired", "looks", "receive", "task")

    def __init__(self, task: asyncio.Task[Any], deadline: float | None, receive: Receive) -> None:
        self.task = task
        self.deadline = deadline
        self.receive = receive
        self.looks = 0
        self.expired = False
        self.abandoned = False


class Attendant:
    """Looks at all calls together every 5 ms; asks every 20 ms whether a caller is still there.

    A timer for each call would cost more than many calls take. After the end of a request, Envoy's ``receive`` does not
    wait for the disconnect as ASGI has it, but says at once how things stand: so it has to be asked now and again.
    """

    def __init__(self) -> None:
        self._calls: dict[AttendedCall, None] = {}
        self._next_look: asyncio.TimerHandle | None = None

    def begin(self, deadline: float | None, receive: Receive) -> AttendedCall:
        """Attend to the call of this task, whose request has come in whole: what it receives next is the disconnect."""
        call = AttendedCall(this_task(), deadline, receive)
        self._calls[call] = None
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(_INTERVAL, self._look)
        return call

    def end(self, call: AttendedCall) -> None:
        """Let a call alone from now on."""
        self._calls.pop(call, None)

    def _look(self) -> None:
        now = time.monotonic()
        for call in list(self._calls):
            if call.deadline is not None and call.deadline <= now:
                call.expired = True
                self._cancel(call)
                continue
            call.looks += 1
            if call.looks % _LOOKS_PER_QUESTION == 0:
                asyncio.ensure_future(call.receive()).add_done_callback(functools.partial(self._told, call))
        loop = asyncio.get_running_loop()
        self._next_look = loop.call_later(_INTERVAL, self._look) if self._calls else None

    def _told(self, call: AttendedCall, answer: asyncio.Future[dict[str, Any]]) -> None:
        # The answer may also come when the response has been sent: the call is no longer attended to then.
        if call in self._calls and answer.result()["type"] != "http.request":
            call.abandoned = True
            self._cancel(call)

    def _cancel(self, call: AttendedCall) -> None:
        self.end(call)
        call.task.cancel()
