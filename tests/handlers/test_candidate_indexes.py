import asyncio
import threading
from collections.abc import Callable

import pytest

from models.candidate_index import CandidateIndex
from models.errors import UnavailableError
from service.handlers.candidate_indexes import CandidateIndexes, Listing


class Lists:
    """Stands for the lists of a shop: reading them takes until it is let go on."""

    def __init__(self) -> None:
        self.reads = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Event()

    def read(self, _tenant: str, _generation: int, _items: int, on_step: Callable[[int], None]) -> CandidateIndex:
        self.reads += 1
        on_step(1)
        self.begun.set()
        while not self.go_on.wait(0.001):
            on_step(0)
        on_step(1)
        return CandidateIndex(())


class Clock:
    """Shows the time that it is set to."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


async def test_an_index_serves_until_it_is_too_old_for_who_asks() -> None:
    lists, clock = Lists(), Clock()
    indexes = CandidateIndexes(lists.read, 600.0, clock)
    assert indexes.newest(7, 0.0) is None
    await indexes.begin("local", 7, 10).task
    clock.time += 5
    assert indexes.newest(7, clock.time - 5) is not None
    assert indexes.newest(7, clock.time - 4) is None
    assert indexes.newest(8, 0.0) is None
    await indexes.aclose()
    assert indexes.newest(7, 0.0) is None


async def test_who_asks_while_lists_are_read_waits_for_the_same_reading() -> None:
    lists = Lists()
    lists.go_on.clear()
    indexes = CandidateIndexes(lists.read, 600.0)
    first = indexes.begin("local", 7, 10)
    second = indexes.begin("local", 7, 10)
    assert first is second
    assert await asyncio.to_thread(lists.begun.wait, 10)
    assert first.read_count == 1
    lists.go_on.set()
    assert isinstance(await first.task, Listing)
    assert (lists.reads, first.read_count) == (1, 2)
    await indexes.aclose()


async def test_an_index_is_forgotten_at_the_end_of_its_life() -> None:
    indexes = CandidateIndexes(Lists().read, 0.01)
    await indexes.begin("local", 7, 10).task
    await asyncio.sleep(0.02)
    assert indexes.newest(7, 0.0) is None


async def test_a_server_that_goes_does_not_wait_for_the_lists() -> None:
    lists = Lists()
    lists.go_on.clear()
    indexes = CandidateIndexes(lists.read, 600.0)
    reading = indexes.begin("local", 7, 10)
    assert await asyncio.to_thread(lists.begun.wait, 10)
    await indexes.aclose()
    assert reading.task.done()


async def test_a_reading_that_fails_is_begun_anew_by_the_next_who_asks() -> None:
    def fail(_tenant: str, _generation: int, _items: int, _on_step: Callable[[int], None]) -> CandidateIndex:
        raise UnavailableError("Redis cannot be used now")

    indexes = CandidateIndexes(fail, 600.0)
    first = indexes.begin("local", 7, 10)
    with pytest.raises(UnavailableError):
        await first.task
    second = indexes.begin("local", 7, 10)
    assert second is not first
    with pytest.raises(UnavailableError):
        await indexes.begin("local", 7, 10).task
    await indexes.aclose()
