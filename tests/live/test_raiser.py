"""Workers make pushes from events, from what comes back, and as time passes; each once, whoever does it."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from models.catalog import CatalogChange
from models.customers import Consent, ConsentStatus, CustomerRecord
from models.events import Event
from models.offers import Item, Offer, Placement, ShareOff
from models.pushes import Push
from models.quiet_hours import QuietHours
from models.triggers import Trigger, TriggerKind, TriggerStatus
from service.live.measures import Measures
from service.live.raiser import Raiser
from service.store.catalog_follower import CatalogFollower
from service.store.catalog_store import apply_blocking
from service.store.connection import SyncConnection
from service.store.customer_record_codec import encode_header, encode_names
from service.store.customer_store import store_calls
from service.store.event_log import append_blocking
from service.store.functions import NAME_CUSTOMER, FunctionCall, call_all_blocking
from service.store.keys import SHARD_COUNT, erased_key, pushes_key, record_key, shard_of
from service.store.push_codec import decode_push
from service.store.push_raising import PushRaising
from tests.live.conftest import TENANT

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = 3_600
AWAKE = Placement("push", quiet_hours=QuietHours(0, 0))
ITEMS = (Item("rye"), Item("wheat"))


class Worker:
    """Is a worker's part of the pushes, and the time."""

    def __init__(self, connection: SyncConnection, name: str = "one", interval: float = HOUR) -> None:
        self.connection = connection
        self.time = NOON
        pushes, catalogs = PushRaising(connection, TENANT), CatalogFollower(connection, TENANT)
        measures = Measures(CollectorRegistry())
        self.raiser = Raiser(pushes, catalogs, measures, name, interval, self.now)

    def now(self) -> float:
        return self.time.timestamp()

    def walk(self, hours: float = 0) -> list[Push]:
        """Let time pass, walk over all customers and give every push that waits, in the order of their customers."""
        self.time += timedelta(hours=hours)
        while self.raiser.step():
            pass
        return self.waiting()

    def waiting(self) -> list[Push]:
        found = []
        for shard in range(SHARD_COUNT):
            values = self.connection.client.execute_command("HVALS", pushes_key(TENANT, shard))
            found += [decode_push(value.partition(b"\n")[2]) for value in values]
        return sorted(found, key=lambda push: (push.customer_id, push.key))


@pytest.fixture
def worker(connection: SyncConnection) -> Worker:
    return Worker(connection)


def change(worker: Worker, change: CatalogChange) -> None:
    apply_blocking(worker.connection, TENANT, change)


def agree(worker: Worker, *customer_ids: str, status: ConsentStatus = ConsentStatus.GRANTED) -> None:
    consents = (Consent("marketing", "push", status, NOON),)
    records = [CustomerRecord(name, consents=consents, update_time=NOON) for name in customer_ids]
    call_all_blocking(worker.connection, store_calls(TENANT, records))


def did(worker: Worker, customer_id: str, kind: str, item_id: str) -> None:
    time = worker.time - timedelta(minutes=1)
    event = Event(f"{customer_id}-{kind}-{time.timestamp()}", customer_id, kind, time, item_id=item_id)
    append_blocking(worker.connection, TENANT, [event])


def trigger(kind: TriggerKind, **policy: int) -> Trigger:
    return Trigger("t", kind, delay=policy.get("delay", 0), default_hour=policy.get("default_hour", 12))


def test_without_triggers_nothing_is_made_and_nothing_is_read(worker: Worker) -> None:
    agree(worker, "ada")
    did(worker, "ada", "cart", "rye")
    assert worker.walk() == []


def test_an_event_makes_a_push_at_the_customers_hour(worker: Worker) -> None:
    change(
        worker, CatalogChange(items=ITEMS, triggers=(trigger(TriggerKind.ABANDONED_CART, delay=HOUR, default_hour=18),))
    )
    agree(worker, "ada")
    did(worker, "ada", "cart", "rye")
    worker.raiser.consider(["ada"])
    (push,) = worker.waiting()
    assert (push.customer_id, push.item_id) == ("ada", "rye")
    assert datetime.fromtimestamp(push.due_time, UTC).replace(minute=0, second=0) == NOON.replace(hour=18)


def test_the_same_makes_no_second_push_however_often_and_by_whom_it_is_seen(connection: SyncConnection) -> None:
    workers = [Worker(connection, name) for name in ("one", "two")]
    change(workers[0], CatalogChange(items=ITEMS, triggers=(trigger(TriggerKind.ABANDONED_CART),)))
    agree(workers[0], "ada")
    did(workers[0], "ada", "cart", "rye")
    for one in (*workers, *workers):
        one.raiser.consider(["ada"])
    assert len(workers[0].waiting()) == 1


@pytest.mark.parametrize("status", [None, ConsentStatus.WITHDRAWN])
def test_who_did_not_agree_gets_none(worker: Worker, status: ConsentStatus | None) -> None:
    change(worker, CatalogChange(items=ITEMS, triggers=(trigger(TriggerKind.ABANDONED_CART),)))
    if status is not None:
        agree(worker, "ada", status=status)
    did(worker, "ada", "cart", "rye")
    assert worker.walk() == []


def test_a_paused_trigger_makes_none(worker: Worker) -> None:
    paused = Trigger("t", TriggerKind.ABANDONED_CART, TriggerStatus.PAUSED)
    change(worker, CatalogChange(items=ITEMS, triggers=(paused,)))
    agree(worker, "ada")
    did(worker, "ada", "cart", "rye")
    assert worker.walk() == []


def test_an_offer_that_comes_makes_pushes_with_the_next_walk(worker: Worker) -> None:
    change(worker, CatalogChange(items=ITEMS, placements=(AWAKE,), triggers=(trigger(TriggerKind.DISCOUNT),)))
    agree(worker, "ada", "bob")
    did(worker, "ada", "view", "rye")
    did(worker, "bob", "view", "wheat")
    assert worker.walk() == []
    change(worker, CatalogChange(offers=(Offer("cheap", ("rye",), discount=ShareOff(1_000)),)))
    assert worker.walk() == []
    assert [(push.customer_id, push.offer_id) for push in worker.walk(hours=1)] == [("ada", "cheap")]


def test_an_item_that_was_missed_and_comes_back_makes_a_push(worker: Worker) -> None:
    change(worker, CatalogChange(items=ITEMS, placements=(AWAKE,), triggers=(trigger(TriggerKind.BACK_IN_STOCK),)))
    change(worker, CatalogChange(deleted_item_ids=("rye",)))
    agree(worker, "ada")
    did(worker, "ada", "view", "rye")
    assert worker.walk() == []
    change(worker, CatalogChange(items=(Item("rye"),)))
    (push,) = worker.walk(hours=1)
    assert (push.item_id, push.motive_time) == ("rye", worker.time.timestamp())
    assert len(worker.walk(hours=1)) == 1


def test_one_worker_walks_at_a_time(connection: SyncConnection) -> None:
    one, two = Worker(connection, "one"), Worker(connection, "two")
    change(one, CatalogChange(items=ITEMS, triggers=(trigger(TriggerKind.ABANDONED_CART),)))
    agree(one, "ada")
    one.walk()
    did(one, "ada", "cart", "rye")
    assert two.walk() == []
    assert len(one.walk(hours=1)) == 1


def test_a_customer_of_two_ids_gets_one_push_under_the_first(worker: Worker) -> None:
    change(worker, CatalogChange(items=ITEMS, triggers=(trigger(TriggerKind.ABANDONED_CART),)))
    agree(worker, "zoe")
    for name in ("device", "zoe"):
        places = record_key(TENANT, name), erased_key(TENANT, shard_of(name))
        call = FunctionCall(NAME_CUSTOMER, places, (encode_header(name), 1, encode_names(("device", "zoe"))))
        call_all_blocking(worker.connection, [call])
    did(worker, "device", "cart", "rye")
    worker.raiser.consider(["device"])
    worker.raiser.consider(["zoe"])
    assert [push.customer_id for push in worker.waiting()] == ["device"]
