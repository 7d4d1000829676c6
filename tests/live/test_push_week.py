"""A short version of ``make bench-push``: a week in which clocks change, and nothing is pushed that should not be."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.harness.push_script import TRIGGERS, first_day
from benchmarks.harness.push_week import simulate

CUSTOMERS = 60


@pytest.mark.parametrize("month", [3, 10])
def test_in_a_week_in_which_clocks_change_nothing_is_pushed_that_should_not_be(tmp_path: Path, month: int) -> None:
    outcome = simulate(tmp_path, CUSTOMERS, first_day(datetime.now(UTC).year + 1, month), step=3_600)
    assert not outcome.oracle.wrong
    assert set(outcome.oracle.sent) == {trigger.trigger for trigger in TRIGGERS}
