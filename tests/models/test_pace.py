"""Work at a pace."""

import time

from models.pace import Turns


def test_work_in_turns_leaves_most_of_the_time_to_others() -> None:
    begin, processor, pace = time.perf_counter(), time.thread_time(), Turns()
    for _ in range(2_000):
        sum(range(1_000))
        pace()
    assert time.thread_time() - processor < 0.5 * (time.perf_counter() - begin)
