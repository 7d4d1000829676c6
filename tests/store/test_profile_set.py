"""A customer's profile follows from the set of their events: late, early, doubled, in whatever order and batches."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from models.events import Event
from service.store import event_log, keys, profile_codec
from service.store.candidate_codec import digest_of
from service.store.connection import SyncConnection, connect_blocking
from service.store.event_log import append_blocking
from tests.redis_fixtures import patient
from tests.store import samples

TENANT = "local"
LIMIT, SLACK = 6, 3

EVENTS = [
    Event(
        f"event-{number}",
        "ada",
        ("purchase", "view", "dismiss")[number % 3],
        # A few moments only, so that many events share theirs and the bytes of their records decide.
        samples.NOON + timedelta(days=number % 4),
        item_id=f"item-é{number % 5}",
        offer_id="" if number % 2 else "offer",
    )
    for number in range(30)
]


@pytest.fixture
def connection(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncConnection]:
    """Connect to a Redis in which profiles are small, so that they are trimmed often."""
    monkeypatch.setattr(event_log, "MAXIMAL_PROFILE_EVENTS", LIMIT)
    monkeypatch.setattr(event_log, "PROFILE_SLACK", SLACK)
    monkeypatch.setattr(profile_codec, "MAXIMAL_PROFILE_EVENTS", LIMIT)
    with connect_blocking(patient(redis_url)) as connection:
        yield connection


def test_any_order_and_repetition_of_events_gives_the_same_profile(connection: SyncConnection) -> None:
    tenants = iter(f"tenant-{number}" for number in range(10**9))

    class Recording(RuleBasedStateMachine):
        """Records batches drawn from the same events, again and again."""

        def __init__(self) -> None:
            super().__init__()
            self.tenant = next(tenants)
            self.recorded: dict[str, Event] = {}

        @rule(batch=strategies.lists(strategies.sampled_from(EVENTS), min_size=1, max_size=12))
        def record(self, batch: list[Event]) -> None:
            distinct = {event.event_id: event for event in batch}
            result = append_blocking(connection, self.tenant, batch)
            assert result.recorded == len(distinct.keys() - self.recorded.keys())
            self.recorded |= distinct

        @invariant()
        def the_profile_is_that_of_the_set(self) -> None:
            value = connection.client.execute_command("GET", keys.profile_key(self.tenant, "ada")) or b""
            records = (profile_codec.encode_record(event) for event in self.recorded.values())
            whole = profile_codec.encode_header("ada") + b"".join(records)
            digest = digest_of("ada")
            assert profile_codec.decode(value, digest) == profile_codec.decode(whole, digest)

    Recording.TestCase.settings = settings(max_examples=40, stateful_step_count=12)
    Recording.TestCase().runTest()
