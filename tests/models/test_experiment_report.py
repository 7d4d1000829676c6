from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.events import CLICK, EXPOSURE, PURCHASE, Event
from models.experiment_report import ArmReport, report_interleaved, report_split
from models.experiments import Arm, Experiment, ExperimentMode, arm_of, marked
from models.offers import Money

BEGIN = datetime(2025, 7, 1, tzinfo=UTC)
RANKING = Experiment("ranking", ("home-top",), (Arm("control", 2), Arm("new", 1)))
ECHO = marked("a1-1", ["ranking"])


def exposure(customer_id: str, arm: str, day: int = 0) -> Event:
    time = BEGIN + timedelta(days=day)
    return Event(f"x-{customer_id}-{day}", customer_id, EXPOSURE, time, arm=arm, experiment_id="ranking")


def bought(customer_id: str, cents: int, day: float = 0.5, request_id: str = "", currency: str = "EUR") -> Event:
    time = BEGIN + timedelta(days=day)
    id_ = f"b-{customer_id}-{day}-{cents}"
    return Event(id_, customer_id, PURCHASE, time, "bread", value=Money(cents, currency), request_id=request_id)


def figures(arm: ArmReport) -> dict[tuple[str, bool], float]:
    return {(outcome.figure, outcome.attributed): outcome.sample.mean for outcome in arm.outcomes}


def test_each_arm_is_told_by_what_its_customers_did_after_they_met_it() -> None:
    events = [
        bought("ada", 900, day=-1),
        exposure("ada", "control"),
        exposure("ada", "control", day=1),
        exposure("bob", "control"),
        exposure("eve", "new"),
        bought("ada", 400),
        bought("ada", 200, request_id=ECHO),
        bought("eve", 500, request_id=ECHO),
        bought("eve", 100, request_id=marked("a1-2", ["other"])),
        bought("stranger", 5_000, request_id=ECHO),
    ]
    control, new = report_split(RANKING, events, PURCHASE).arms
    assert (control.customers, new.customers) == (2, 1)
    assert figures(control) == {
        ("conversion", True): 0.5,
        ("revenue", True): 100,
        ("conversion", False): 0.5,
        ("revenue", False): 300,
    }
    assert figures(new)["revenue", True] == 500
    assert figures(new)["revenue", False] == 600


def test_the_order_of_the_log_does_not_matter_and_what_it_tells_twice_counts_once() -> None:
    events = [exposure("ada", "new"), exposure("ada", "new", day=2), bought("ada", 300), exposure("bob", "control")]
    assert report_split(RANKING, events, PURCHASE) == report_split(RANKING, events[::-1], PURCHASE)
    assert report_split(RANKING, events, PURCHASE) == report_split(RANKING, [*events, *events], PURCHASE)


def test_who_met_two_arms_is_left_out_and_so_is_what_came_after_the_end_or_in_another_currency() -> None:
    experiment = replace(RANKING, end_time=BEGIN + timedelta(days=2))
    events = [
        exposure("ada", "control"),
        exposure("ada", "new", day=1),
        exposure("eve", "new"),
        bought("eve", 100),
        bought("eve", 200, day=1),
        bought("eve", 700, day=3),
        bought("eve", 900, currency="USD"),
    ]
    report = report_split(experiment, events, PURCHASE)
    assert [arm.customers for arm in report.arms] == [0, 1]
    assert (report.crossed, report.currency, report.other_currencies) == (1, "EUR", 1)
    assert figures(report.arms[1])["revenue", False] == 300


def test_an_arm_that_loses_its_customers_is_found_out() -> None:
    fair = [exposure(name, arm_of(RANKING, name).arm) for name in (f"customer-{n}" for n in range(3_000))]
    assert not report_split(RANKING, fair, PURCHASE).is_suspicious
    kept = [event for place, event in enumerate(fair) if event.arm != "new" or place % 4]
    assert report_split(RANKING, kept, PURCHASE).is_suspicious


def lifted(count: int) -> Iterator[Event]:
    """Let one in five of the control buy for 10.00, and three in ten of the new arm."""
    for number in range(count):
        name = f"customer-{number}"
        arm = arm_of(RANKING, name).arm
        yield exposure(name, arm)
        if number % 10 < (2 if arm == "control" else 3):
            yield bought(name, 1_000, request_id=ECHO)


def test_a_lift_is_found_with_its_limits() -> None:
    report = report_split(RANKING, lifted(6_000), PURCHASE)
    control, new = report.arms
    assert all(outcome.difference is None for outcome in control.outcomes)
    for outcome in new.outcomes:
        assert outcome.difference is not None
        assert outcome.difference.relative is not None
        assert outcome.difference.relative.low < 0.5 < outcome.difference.relative.high
        assert outcome.difference.relative.low > 0.2
        assert outcome.difference.p_value < 1e-6


def test_interleaved_arms_get_the_credit_that_events_echo() -> None:
    experiment = replace(RANKING, mode=ExperimentMode.INTERLEAVED)
    events = [exposure(name, "") for name in ("ada", "bob", "eve", "kim")]
    for number, (name, arm) in enumerate((("ada", "new"), ("ada", "new"), ("ada", "control"), ("bob", "control"))):
        click = Event(f"c-{number}", name, CLICK, BEGIN, "bread", request_id=ECHO, arm=arm)
        events += [click, replace(click, event_id=f"d-{number}", request_id="a1-9")]
    report = report_interleaved(experiment, events, CLICK)
    assert report.credits == {"control": 2, "new": 2}
    assert (report.customers, report.wins, report.losses, report.ties) == (4, 1, 1, 2)
    assert report.preference.estimate == pytest.approx(0.5)
