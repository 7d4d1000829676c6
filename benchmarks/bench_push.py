"""What is pushed in a week, and what should not have been: in a simulated week in which clocks change.

Customers live in thirteen zones; they view, search, fill carts, buy, opt out, move, are linked and erased, while offers
begin, end and are paused, and items run out and come back. Everything but the clock, the customers and their phones is
real. ``--customers`` makes it smaller.
"""

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness.push_script import first_day
from benchmarks.harness.push_week import Outcome, simulate
from benchmarks.report import report

_WRONG = {
    "duplicate": "duplicates",
    "quiet": "in-quiet-hours",
    "opted-out": "after-opt-out",
    "bought": "after-purchase",
    "offer": "invalid-offers",
    "trigger": "paused-triggers",
    "spacing": "too-close",
    "late": "after-lease",
}


def main() -> None:
    """Simulate and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--month", type=int, choices=(3, 10), default=10, help="clocks go forward or back")
    parser.add_argument("--step", type=float, default=600.0, help="seconds from one look to the next")
    options = parser.parse_args()
    start = first_day(datetime.now(UTC).year + 1, options.month)
    with tempfile.TemporaryDirectory(prefix="dangol-bench-") as directory:
        begin = time.monotonic()
        outcome = simulate(Path(directory), options.customers, start, step=options.step)
        _report(outcome, time.monotonic() - begin, options.customers)


def _report(outcome: Outcome, seconds: float, customers: int) -> None:
    sent = outcome.oracle.sent
    report("push.customers", customers, "customers")
    report("push.events", outcome.events, "events")
    report("push.sent", sent.total(), "pushes")
    for trigger in sorted(sent):
        report(f"push.sent-{trigger}", sent[trigger], "pushes")
    report("push.repeats-told-by-id", outcome.repeats, "pushes")
    for name, figure in _WRONG.items():
        report(f"push.{figure}", outcome.oracle.wrong[name], "pushes", floor=0, goal=0)
    report("push.wall-time", seconds, "s")


if __name__ == "__main__":
    main()
