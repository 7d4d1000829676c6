"""The load generator of the benchmarks: what it counts, and from when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import grpcio_echo
from benchmarks.envoy_echo import PATH
from benchmarks.harness.servers import running
from benchmarks.histogram import PER_DOUBLING, Histogram
from benchmarks.load import Load, run_load
from benchmarks.outcome import Outcome, percentile

ANSWER = b"HTTP/1.1 %d Said\r\ncontent-length: 2\r\n\r\n[]"
CONNECTIONS = 4
DURATIONS = st.lists(st.floats(min_value=1e-6, max_value=100.0), min_size=1)


class Gate:
    """Holds answers back until it is open."""

    def __init__(self, *, opened: bool) -> None:
        self.asked = asyncio.Semaphore(0)
        self.event = asyncio.Event()
        if opened:
            self.event.set()


@asynccontextmanager
async def answering(status: int, gate: Gate) -> AsyncIterator[str]:
    """Serve HTTP that answers with a status once the gate is open, and give the address."""
    tasks = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionResetError), closing(writer):
            while await reader.readuntil(b"\r\n\r\n"):
                gate.asked.release()
                await gate.event.wait()
                writer.write(ANSWER % status)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"
        gate.event.set()
        await asyncio.gather(*(task for task in tasks if task))


async def ask(address: str, seconds: float, patience: float) -> Outcome:
    load = Load(address, "", [b"/"], seconds, rate=100.0, connections=CONNECTIONS, patience=patience)
    return await asyncio.to_thread(run_load, load)


async def test_every_call_at_a_rate_is_answered_and_counted() -> None:
    async with answering(200, Gate(opened=True)) as address:
        outcome = await ask(address, 0.5, 30.0)
    assert outcome.failures == 0
    assert outcome.calls == len(outcome.latencies) > 0


async def test_an_answer_that_is_no_success_is_a_refusal() -> None:
    async with answering(404, Gate(opened=True)) as address:
        outcome = await ask(address, 0.2, 30.0)
    assert outcome.calls == 0
    assert outcome.failures == len(outcome.refusals) > 0


async def test_latency_counts_from_when_a_call_should_have_begun_though_its_connection_was_not_free() -> None:
    gate = Gate(opened=False)
    async with answering(200, gate) as address:
        asking = asyncio.create_task(ask(address, 0.3, 30.0))
        for _ in range(CONNECTIONS):
            await gate.asked.acquire()
        await asyncio.sleep(1.0)
        gate.event.set()
        outcome = await asking
    assert outcome.failures == 0
    assert outcome.calls > CONNECTIONS  # the others waited their turn
    assert min(outcome.latencies) > 0.5


async def test_calls_of_grpc_are_counted_too(tmp_path: Path) -> None:
    with running(grpcio_echo.run, tmp_path / "echo") as server:
        load = Load(server.address, PATH, [b"", b"request"], 0.3, rate=100.0, connections=2, patience=30.0)
        outcome = await asyncio.to_thread(run_load, load)
    assert outcome.failures == 0
    assert outcome.calls > 0


async def test_a_call_that_nobody_answers_is_a_failure() -> None:
    async with answering(200, Gate(opened=False)) as address:
        outcome = await ask(address, 0.2, 0.1)
    assert outcome.calls == 0
    assert outcome.failures > CONNECTIONS


@given(DURATIONS, st.floats(min_value=0.0, max_value=1.0))
def test_a_percentile_of_a_histogram_is_less_than_a_bucket_above_the_real_one(
    seconds: list[float], share: float
) -> None:
    ordered = sorted(seconds)
    real = next(value for number, value in enumerate(ordered, 1) if number >= share * len(ordered))
    found = Histogram.of(seconds).percentile(share)
    assert real <= found * (1 + 1e-9)
    assert found <= real * 2 ** (1 / PER_DOUBLING) * (1 + 1e-9)


@given(DURATIONS, DURATIONS)
def test_histograms_add_up_and_come_back_from_what_is_stored(some: list[float], others: list[float]) -> None:
    together = Histogram.of(some) + Histogram.of(others)
    assert together == Histogram.of([*some, *others])
    assert Histogram.read(together.stored()) == together


def test_the_percentile_of_nothing_is_nought() -> None:
    assert [Histogram().percentile(0.5), percentile([], 0.5)] == [0.0, 0.0]
