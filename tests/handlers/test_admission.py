import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import OverloadedError
from service.handlers.admission import LOWEST_LIMIT, TARGET, Admission

MAXIMUM = 64


def busy_with(calls: int, admission: Admission) -> Admission:
    for _ in range(calls):
        admission.enter(exempt=False)
    return admission


def test_a_refused_call_is_told_when_to_come_again_and_not_all_at_the_same_time() -> None:
    admission = busy_with(2, Admission(2))
    delays = set()
    for _ in range(10):
        with pytest.raises(OverloadedError) as caught:
            admission.enter(exempt=False)
        delays.add(caught.value.retry_delay)
    assert len(delays) > 1
    assert all(0 < delay < 1 for delay in delays)


def test_exempt_calls_pass_when_all_places_are_taken() -> None:
    admission = busy_with(1, Admission(1))
    admission.enter(exempt=True)
    assert admission.in_flight == 2


def test_a_standing_queue_lowers_the_limit_below_what_is_worked_on() -> None:
    admission = busy_with(60, Admission(MAXIMUM))
    admission.adapt(2 * TARGET)
    assert admission.limit < 60


def test_the_limit_rises_again_to_the_maximum_within_ten_seconds() -> None:
    admission = busy_with(1, Admission(256))
    for _ in range(20):
        admission.adapt(1.0)
    assert admission.limit == LOWEST_LIMIT
    for _ in range(100):
        admission.adapt(0.0)
    assert admission.limit == 256


@given(st.lists(st.tuples(st.integers(0, MAXIMUM), st.floats(0, 10)), max_size=50))
def test_the_limit_stays_between_its_bounds_whatever_is_measured(intervals: list[tuple[int, float]]) -> None:
    async def run() -> None:
        admission = Admission(MAXIMUM)
        for in_flight, delay in intervals:
            admission.in_flight = in_flight
            admission.adapt(delay)
            assert LOWEST_LIMIT <= admission.limit <= MAXIMUM

    asyncio.run(run())
