import pytest

from benchmarks.harness import outages
from benchmarks.harness.bed import Bed
from benchmarks.harness.clients import Load, running_clients
from dangol.v1.event_pb2 import Event
from dangol.v1.event_service_pb2 import RecordEventsRequest
from dangol.v1.offer_service_pb2 import FALLBACK_LAST_SNAPSHOT, FALLBACK_SHARED_LIST
from models.errors import UnavailableError
from service.handlers.caller import Caller, Context
from service.handlers.event_handlers import EventHandlers
from service.store.connection import RedisSettings
from service.store.store import Store

DEADLINE = 10.0  # seconds; what counts here is that all is answered, not how fast
SECONDS = 1.0


async def test_events_are_refused_at_once_while_redis_is_given_up(redis_url: str) -> None:
    event = Event(event_id="1", customer_id="ada", event_type="view", item_id="a-000")
    event.event_time.GetCurrentTime()
    store = Store.open(RedisSettings(redis_url))
    lost = True
    handlers = EventHandlers(store.events, write_timeout=5.0, is_lost=lambda: lost)
    caller, request = Caller("local", "local"), RecordEventsRequest(events=[event])
    try:
        with pytest.raises(UnavailableError):
            await handlers.record_events(caller, request, Context())
        lost = False
        # Not a duplicate: nothing of the refused call was stored.
        assert (await handlers.record_events(caller, request, Context())).recorded_count == 1
    finally:
        await store.aclose()


def load_of(bed: Bed) -> Load:
    return Load(bed.target, bed.shop, DEADLINE, rate=40, batch_rate=2, event_rate=10, event_deadline=1.0)


@pytest.mark.parametrize(
    ("name", "fallback"),
    [
        ("stopped", FALLBACK_SHARED_LIST),
        ("frozen", FALLBACK_SHARED_LIST),
        ("black-hole", FALLBACK_SHARED_LIST),
        ("emptied", FALLBACK_LAST_SNAPSHOT),
    ],
)
def test_without_redis_every_call_is_answered_flagged_and_from_the_right_list(
    bed: Bed, name: str, fallback: int
) -> None:
    with running_clients(load_of(bed)) as clients:
        outage = outages.OUTAGES[name](bed, clients, SECONDS)
        outcome = clients.stop()
    assert outcome.failed_reads == []
    assert outcome.wrong == []
    assert outage.unflagged(outcome) == []
    assert {call.fallback for call in outage.calls(outcome)} == {fallback}
    assert name == "emptied" or outage.acknowledged_meanwhile(outcome) == []
    # What was acknowledged before Redis was emptied is as old as the export that it was rebuilt from.
    since = outage.begin if name == "emptied" else 0.0
    logged = outages.logged_events(bed)
    assert outages.lost_events(outcome, logged, since) == []
    assert outages.repeated_events(logged) == []
    assert set(logged) <= outcome.attempted


def test_every_acknowledged_event_outlives_kills_of_redis(bed: Bed) -> None:
    load = Load(bed.target, bed.shop, DEADLINE, rate=20, event_rate=60)
    with running_clients(load) as clients:
        for _ in range(3):
            outages.stopped(bed, clients, 0.2)
        outcome = clients.stop()
    logged = outages.logged_events(bed)
    assert outages.lost_events(outcome, logged) == []
    assert outages.repeated_events(logged) == []
    assert outcome.failed_reads == []
