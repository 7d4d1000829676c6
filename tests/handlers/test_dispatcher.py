import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import structlog
from google.protobuf.empty_pb2 import Empty
from google.rpc import code_pb2
from prometheus_client import CollectorRegistry, generate_latest

from models import errors
from service.handlers.admission import Admission
from service.handlers.caller import Caller, Context
from service.handlers.dispatcher import Dispatcher
from service.handlers.errors import StatusError, to_status
from service.handlers.methods import StreamMethod, UnaryMethod
from service.handlers.telemetry import Telemetry

PATH = "/test.Service/Call"
Handler = Callable[[Caller, Empty, Context], Awaitable[Empty]]


class Harness:
    """Dispatches to one handler under one admission."""

    def __init__(self, handler: Handler, maximum: int = 10) -> None:
        self.registry = CollectorRegistry()
        self.admission = Admission(maximum)
        methods = [UnaryMethod(PATH, Empty, handler), UnaryMethod("/test.Health/Check", Empty, _answer, exempt=True)]
        streams = [StreamMethod("/test.Service/Watch", Empty, _echo)]
        telemetry = Telemetry(self.registry, b"key")
        self.dispatcher = Dispatcher(
            [*methods, *streams], lambda _: Caller("local", "local"), self.admission, telemetry
        )

    async def call(self, path: str = PATH, deadline: float | None = None) -> bytes:
        return await self.dispatcher.dispatch(path, b"", (), deadline)

    async def failure(self, path: str = PATH, deadline: float | None = None) -> StatusError:
        with pytest.raises(StatusError) as caught:
            await self.call(path, deadline)
        return caught.value


async def _answer(_caller: Caller, _request: Empty, _context: Context) -> Empty:
    return Empty()


async def _echo(_caller: Caller, requests: AsyncIterator[Empty], _context: Context) -> AsyncIterator[Empty]:
    async for request in requests:
        yield request


def _raising(error: BaseException) -> Handler:
    async def handler(_caller: Caller, _request: Empty, _context: Context) -> Empty:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.InvalidInputError("page_size", "is negative"), code_pb2.INVALID_ARGUMENT, "INVALID_INPUT"),
        (errors.ArtifactError("items.npz", "is damaged"), code_pb2.FAILED_PRECONDITION, "ARTIFACT_DAMAGED"),
        (errors.NotFoundError("no such thing"), code_pb2.NOT_FOUND, "NOT_FOUND"),
        (errors.PreconditionError("publish first"), code_pb2.FAILED_PRECONDITION, "FAILED_PRECONDITION"),
        (errors.ConflictError("too late"), code_pb2.ABORTED, "CONFLICT"),
        (errors.OverloadedError("busy"), code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED"),
        (errors.UnavailableError("away"), code_pb2.UNAVAILABLE, "UNAVAILABLE"),
        (errors.DeadlineError("too late"), code_pb2.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (errors.DangolError("unmapped"), code_pb2.INTERNAL, "INTERNAL"),
    ],
)
async def test_every_error_of_ours_has_one_status(error: errors.DangolError, code: int, reason: str) -> None:
    failure = await Harness(_raising(error)).failure()
    assert (failure.code, failure.reason) == (code, reason)


def test_no_error_of_the_tree_is_forgotten() -> None:
    kinds = errors.DangolError.__subclasses__()
    assert kinds
    for kind in kinds:
        error = kind("field", "problem") if issubclass(kind, errors.InvalidInputError) else kind("problem")
        assert to_status(error).code != code_pb2.INTERNAL


async def test_an_unexpected_exception_shows_an_id_that_the_log_has_and_nothing_else() -> None:
    secret = RuntimeError("redis://admin:hunter2@redis.invalid")
    with structlog.testing.capture_logs() as lines:
        failure = await Harness(_raising(secret)).failure()
    assert failure.code == code_pb2.INTERNAL
    assert "hunter2" not in failure.message
    assert b"hunter2" not in failure.details
    (error_id,) = re.findall(r"[0-9a-f]{16}", failure.message)
    assert [line["error_id"] for line in lines if line["event"] == "unexpected error"] == [error_id]


async def test_a_path_outside_the_table_is_unimplemented() -> None:
    harness = Harness(_answer)
    for path in ("", "/", f"/{PATH}", f"{PATH}/", PATH.lower(), "/test.Service/Watch"):
        assert (await harness.failure(path)).code == code_pb2.UNIMPLEMENTED


async def test_an_empty_deadline_is_answered_before_the_handler_runs() -> None:
    failure = await Harness(_raising(AssertionError())).failure(deadline=time.monotonic() - 1)
    assert failure.code == code_pb2.DEADLINE_EXCEEDED


async def test_one_call_too_many_is_refused_at_once_and_health_is_not() -> None:
    release = asyncio.Event()

    async def wait(_caller: Caller, _request: Empty, _context: Context) -> Empty:
        await release.wait()
        return Empty()

    harness = Harness(wait, maximum=2)
    waiting = [asyncio.create_task(harness.call()) for _ in range(2)]
    await asyncio.sleep(0)
    assert (await harness.failure()).code == code_pb2.RESOURCE_EXHAUSTED
    assert await harness.call("/test.Health/Check") == b""
    assert not await harness.admission.wait_until_idle(0.001)
    release.set()
    assert await asyncio.gather(*waiting) == [b"", b""]
    assert await harness.admission.wait_until_idle(1)
    assert await harness.call() == b""


async def test_a_cancelled_call_gives_its_place_back() -> None:
    async def wait(_caller: Caller, _request: Empty, _context: Context) -> Empty:
        await asyncio.Event().wait()
        return Empty()

    harness = Harness(wait, maximum=1)
    task = asyncio.create_task(harness.call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert harness.admission.in_flight == 0


async def test_streams_pass_message_by_message() -> None:
    async def two() -> AsyncIterator[bytes]:
        yield b""
        yield b""

    answers = Harness(_answer).dispatcher.stream("/test.Service/Watch", two(), (), None)
    assert [answer async for answer in answers] == [b"", b""]


async def test_calls_are_counted_by_method_and_status_but_unknown_methods_as_one() -> None:
    harness = Harness(_answer)
    await harness.call()
    await harness.failure("/made/up")
    await harness.failure("/made/up-2")
    text = generate_latest(harness.registry).decode()
    assert f'dangol_request_seconds_count{{method="{PATH}",status="OK"}} 1.0' in text
    assert 'dangol_request_seconds_count{method="unknown",status="UNIMPLEMENTED"} 2.0' in text
    assert "made" not in text
