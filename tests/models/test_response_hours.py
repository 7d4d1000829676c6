"""When a push goes out: by the customer's clock, at their hour, never when it is quiet."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings, strategies

from models.profile import ProfileEvent
from models.quiet_hours import DEFAULT_QUIET_HOURS, QuietHours
from models.response_hours import send_time, usual_hour

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "Antarctica/Troll", "Australia/Lord_Howe", "America/St_Johns", "Africa/Cairo", "UTC"]
NEVER_QUIET = QuietHours(0, 0)
MOMENTS = strategies.floats(1_767_225_600, 1_830_297_600)
"""Are times of 2026 and 2027."""


def responses(*hours: int, kind: str = "click") -> list[ProfileEvent]:
    return [ProfileEvent(kind, "item", "", datetime(2026, 7, 1, hour, tzinfo=BERLIN).astimezone(UTC)) for hour in hours]


def hour_of(events: list[ProfileEvent], quiet: QuietHours = DEFAULT_QUIET_HOURS) -> int | None:
    return usual_hour(events, BERLIN, quiet, "push", 18)


def test_the_hour_is_that_of_most_responses_by_the_customers_clock() -> None:
    assert hour_of(responses(9, 12, 12, 12, 19)) == 12


def test_hours_beside_each_other_support_each_other() -> None:
    assert hour_of(responses(9, 9, 14, 15, 16)) == 15


def test_what_is_no_response_does_not_count() -> None:
    assert hour_of(responses(9, 9, 9, kind="view")) == 18


def test_with_few_responses_it_is_the_default_hour() -> None:
    assert hour_of(responses(9, 9)) == 18


def test_a_quiet_hour_is_nobodys_hour() -> None:
    assert hour_of(responses(23, 23, 23, 20)) == 20
    assert hour_of([], QuietHours(17 * 60, 19 * 60 + 30)) == 16


def test_without_an_hour_that_is_not_quiet_there_is_none() -> None:
    assert hour_of([], QuietHours(1, 0)) is None


def at(*clock: int) -> float:
    year, month, day, hour, minute = clock
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN).timestamp()


def test_a_push_waits_for_the_hour() -> None:
    assert send_time(at(2026, 7, 1, 9, 0), at(2026, 7, 9, 9, 0), 18, 600, DEFAULT_QUIET_HOURS, "push", BERLIN) == at(
        2026, 7, 1, 18, 10
    )


def test_within_the_hour_it_goes_out_at_once_and_after_it_tomorrow() -> None:
    latest = at(2026, 7, 9, 9, 0)
    within, after = at(2026, 7, 1, 18, 30), at(2026, 7, 1, 19, 0)
    assert send_time(within, latest, 18, 600, DEFAULT_QUIET_HOURS, "push", BERLIN) == within
    assert send_time(after, latest, 18, 600, DEFAULT_QUIET_HOURS, "push", BERLIN) == at(2026, 7, 2, 18, 10)


def test_where_the_hour_comes_too_late_it_is_as_soon_as_it_is_not_quiet() -> None:
    night = at(2026, 7, 1, 23, 0)
    assert send_time(night, at(2026, 7, 2, 12, 0), 18, 0, DEFAULT_QUIET_HOURS, "push", BERLIN) == at(2026, 7, 2, 8, 0)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 28), 23), ((2026, 10, 24), 25)])
def test_a_day_may_be_longer_or_shorter(day: tuple[int, int, int], hours: int) -> None:
    begin = at(*day, 19, 0)
    wanted = send_time(begin, begin + 10 * 86_400, 18, 0, NEVER_QUIET, "push", BERLIN)
    assert wanted == begin + (hours - 1) * 3_600


@settings(max_examples=300, deadline=None)
@given(
    earliest=MOMENTS,
    zone=strategies.sampled_from(ZONES),
    hour=strategies.none() | strategies.integers(0, 23),
    offset=strategies.integers(0, 2_999),
    start=strategies.integers(0, 1_439),
    length=strategies.integers(0, 1_000),
    patience=strategies.floats(0, 10**6),
)
def test_it_is_never_before_its_time_and_never_quiet(
    earliest: float, zone: str, hour: int | None, offset: int, start: int, length: int, patience: float
) -> None:
    quiet = QuietHours(start, (start + length) % 1_440)
    found = send_time(earliest, earliest + patience, hour, offset, quiet, "push", ZoneInfo(zone))
    assert found >= earliest
    assert not quiet.hold("push", found, ZoneInfo(zone))


@settings(max_examples=200, deadline=None)
@given(
    now=MOMENTS,
    zone=strategies.sampled_from(ZONES),
    seconds=strategies.integers(1, 3_600),
)
@example(now=1830297599.9999998, zone="America/St_Johns", seconds=1801)  # a look just before a minute
def test_until_quiet_hours_begin_it_is_not_quiet(now: float, zone: str, seconds: int) -> None:
    quiet = DEFAULT_QUIET_HOURS
    end = quiet.begin("push", now, now + seconds, ZoneInfo(zone))
    looked = [now + step for step in range(0, seconds, 20) if now + step < end]
    assert not any(quiet.hold("push", time, ZoneInfo(zone)) for time in looked)
    assert end == now + seconds or quiet.hold("push", end, ZoneInfo(zone))
