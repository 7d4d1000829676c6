from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, strategies

from models.quiet_hours import DEFAULT_QUIET_HOURS, QuietHours

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu")
]
ALWAYS_ASKED = QuietHours(channels=())
MINUTE = 60


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("time", "is_quiet"),
    [
        ("2025-07-15T20:59:59+02:00", False),
        ("2025-07-15T21:00:00+02:00", True),
        ("2025-07-16T07:59:59+02:00", True),
        ("2025-07-16T08:00:00+02:00", False),
        ("2025-07-15T19:00:00+00:00", True),
        ("2025-01-15T19:30:00+00:00", False),
    ],
)
def test_quiet_hours_follow_the_clock_of_the_customer(time: str, is_quiet: bool) -> None:
    assert DEFAULT_QUIET_HOURS.hold("push", at(time), BERLIN) is is_quiet


def test_they_hold_on_their_channels_alone_and_on_all_where_none_is_named() -> None:
    night = at("2025-07-15T23:00:00+02:00")
    assert not DEFAULT_QUIET_HOURS.hold("email", night, BERLIN)
    assert ALWAYS_ASKED.hold("email", night, BERLIN)


def test_hours_that_end_when_they_begin_are_none() -> None:
    assert not any(QuietHours(0, 0, ()).hold("push", hour * 3600, UTC) for hour in range(24))


@pytest.mark.parametrize(
    ("hours", "now", "end"),
    [
        (QuietHours(), "2025-07-15T12:00:30+02:00", "2025-07-15T12:00:30+02:00"),
        (QuietHours(), "2025-07-15T22:15:30+02:00", "2025-07-16T08:00:00+02:00"),
        (QuietHours(), "2025-03-29T22:00:00+01:00", "2025-03-30T08:00:00+02:00"),
        (QuietHours(), "2025-10-25T22:00:00+02:00", "2025-10-26T08:00:00+01:00"),
        # 2:30 comes twice: it is not quiet after the first one, and quiet again before the second.
        (QuietHours(1320, 150), "2025-10-26T02:10:00+02:00", "2025-10-26T02:30:00+02:00"),
        (QuietHours(1320, 150), "2025-10-26T02:10:00+01:00", "2025-10-26T02:30:00+01:00"),
        # 2:30 does not come: clocks go from 2:00 to 3:00.
        (QuietHours(1320, 150), "2025-03-30T01:10:00+01:00", "2025-03-30T03:30:00+02:00"),
    ],
)
def test_they_end_when_the_clock_says_so_though_it_is_put_forward_or_back(
    hours: QuietHours, now: str, end: str
) -> None:
    assert hours.end("push", at(now), BERLIN) == at(end)


@given(
    hours=strategies.builds(QuietHours, strategies.integers(0, 1439), strategies.integers(0, 1439)),
    minute=strategies.integers(int(at("2025-01-01T00:00+00:00")) // 60, int(at("2026-01-01T00:00+00:00")) // 60),
    zone=strategies.sampled_from(ZONES),
)
@example(QuietHours(1320, 150), int(at("2025-10-26T01:30:00+02:00")) // 60, BERLIN)
@example(QuietHours(60, 0), int(at("2025-03-30T01:30:00+01:00")) // 60, BERLIN)
def test_it_is_quiet_until_the_end_and_not_at_the_end(hours: QuietHours, minute: int, zone: ZoneInfo) -> None:
    end = hours.end("push", minute * MINUTE, zone)
    assert not hours.hold("push", end, zone)
    quiet = [hours.hold("push", one * MINUTE, zone) for one in range(minute, int(end) // MINUTE)]
    if all(quiet):
        return
    # Only where clocks skip the end, minutes behind the change that are not quiet any more are left out.
    first = quiet.index(False)
    assert not any(quiet[first:])
    assert len(quiet) - first < 60
