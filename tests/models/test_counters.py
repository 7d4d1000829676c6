from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.counters import Move, bucket_of, decision_moves, moves_of
from models.events import Event
from models.terms import Cap, CapEvent, CapPeriod, CapScope

NOON = datetime(2024, 12, 30, 12, 30, tzinfo=UTC)  # a Monday, of the first week of 2025


@pytest.mark.parametrize(
    ("period", "name", "end"),
    [
        (CapPeriod.HOUR, "hour-2024-12-30T12", datetime(2024, 12, 30, 13, tzinfo=UTC)),
        (CapPeriod.DAY, "day-2024-12-30", datetime(2024, 12, 31, tzinfo=UTC)),
        (CapPeriod.WEEK, "week-2025-01", datetime(2025, 1, 6, tzinfo=UTC)),
        (CapPeriod.MONTH, "month-2024-12", datetime(2025, 1, 1, tzinfo=UTC)),
        (CapPeriod.EVER, "ever", NOON + timedelta(days=400)),
    ],
)
def test_time_falls_into_the_calendars_buckets(period: CapPeriod, name: str, end: datetime) -> None:
    assert bucket_of(period, NOON.timestamp()) == (name, end.timestamp())


@given(
    st.sampled_from([period for period in CapPeriod if period is not CapPeriod.EVER]),
    st.floats(0, 4_000_000_000),
)
def test_one_bucket_begins_where_the_one_before_ends(period: CapPeriod, time: float) -> None:
    bucket = bucket_of(period, time)
    assert bucket.end > time
    assert bucket_of(period, bucket.end - 0.001) == bucket
    assert bucket_of(period, bucket.end).name != bucket.name


def event(event_type: str = "impression", placement: str = "", channel: str = "") -> Event:
    return Event("e", "ada", event_type, NOON, offer_id="o", placement=placement, channel=channel)


@pytest.mark.parametrize(
    ("cap", "happened", "counts"),
    [
        (Cap(1), event(), True),
        (Cap(1), event("click"), False),
        (Cap(1, event=CapEvent.REDEMPTION), event("redeem"), True),
        (Cap(1, event=CapEvent.DECISION), event(), False),
        (Cap(1, placement="home-top"), event(placement="home-top"), True),
        (Cap(1, placement="home-top"), event(), False),
        (Cap(1, channel="push"), event(channel="web"), False),
        (Cap(1, channel="push"), event(placement="home-top", channel="push"), True),
    ],
    ids=str,
)
def test_a_cap_counts_the_events_that_it_is_about(cap: Cap, happened: Event, *, counts: bool) -> None:
    assert len(moves_of(happened, [cap])) == counts


def test_caps_that_count_the_same_share_a_counter() -> None:
    caps = [Cap(1, period=CapPeriod.DAY), Cap(2, period=CapPeriod.DAY), Cap(5, period=CapPeriod.WEEK)]
    assert [move.bucket.name for move in moves_of(event(), caps)] == ["day-2024-12-30", "week-2025-01"]


def test_an_answer_counts_for_the_caps_on_decisions() -> None:
    caps = {"o": [Cap(1, CapScope.TOTAL, CapEvent.DECISION, placement="home-top"), Cap(1)]}
    decided = [("home-top", "o"), ("cart-side", "o"), ("home-top", "p")]
    counted = decision_moves(decided, caps, "web", NOON.timestamp())
    ever = bucket_of(CapPeriod.EVER, NOON.timestamp())
    assert counted == [Move(CapScope.TOTAL, ever, "decision:home-top::o")]
