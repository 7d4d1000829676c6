"""Pushes over the wire: from an event to what a push system gets, and what becomes of it."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry

from cli.main import run
from dangol.client import Client, InvalidRequestError
from dangol.v1 import catalog_pb2, customer_service_pb2
from dangol.v1.customer_pb2 import Consent, ConsentStatus, Customer
from dangol.v1.event_pb2 import Event
from dangol.v1.push_service_pb2 import LeasedPush, PushAcknowledgement, PushOutcome
from service.live.measures import Measures
from service.live.raiser import Raiser
from service.store.catalog_follower import CatalogFollower
from service.store.connection import SyncConnection, connect_blocking
from service.store.push_raising import PushRaising
from tests.redis_fixtures import patient
from tests.server_fixtures import RunningServer

ITEM, OTHER_ITEM = "item-005", "item-003"
NONE = Duration(seconds=0)
_numbers = iter(range(10**9))


class Shop:
    """Is a shop with one customer, who is new in each test, and with a worker's part of the pushes, by ``clock``."""

    def __init__(self, client: Client, connection: SyncConnection, now: datetime) -> None:
        self.clock = now.timestamp()
        self.time = now - timedelta(seconds=30)
        self.hour = now.hour or 24
        self.client = client
        pushes, catalogs = PushRaising(connection, "local"), CatalogFollower(connection, "local")
        self.raiser = Raiser(pushes, catalogs, Measures(CollectorRegistry()), "one", 60.0, now=lambda: self.clock)
        self.customer = f"pushed-{next(_numbers)}-{time.monotonic_ns()}"
        self.consent(ConsentStatus.CONSENT_STATUS_GRANTED)

    def consent(self, status: ConsentStatus.ValueType) -> None:
        consent = Consent(category="marketing", channel="push", status=status)
        self.client.upsert_customers([Customer(customer_id=self.customer, consents=[consent])])

    def does(self, event_type: str, item_id: str = ITEM) -> None:
        event = Event(event_id=f"e-{next(_numbers)}", customer_id=self.customer, event_type=event_type, item_id=item_id)
        self.time += timedelta(seconds=1)
        event.event_time.FromDatetime(self.time)
        self.client.record_events([event])

    def raise_pushes(self) -> None:
        self.raiser.consider([self.customer])

    def lease(self) -> list[LeasedPush]:
        leased = self.client.lease_pushes(visibility=1)
        return [push for push in leased if self.customer in (push.customer_id, *push.identity_ids)]

    def told(self) -> customer_service_pb2.CustomerPush:
        (push,) = self.client.get_customer(self.customer).pushes
        return push


@pytest.fixture
def shop(server: RunningServer) -> Iterator[Shop]:
    """Run a shop that pushes at any hour, first of all now, when a discount is on what was viewed."""
    now = datetime.now(UTC)
    trigger = catalog_pb2.Trigger(
        trigger="price-cut",
        kind=catalog_pb2.TRIGGER_KIND_DISCOUNT,
        delay=NONE,
        cooldown=NONE,
        spacing=NONE,
        default_hour=now.hour or 24,
    )
    awake = catalog_pb2.QuietHours(start_minute=0, end_minute=0)
    offer = catalog_pb2.Offer(offer_id="cheap", item_ids=[ITEM, OTHER_ITEM], title="Cheap now")
    offer.discount.off_basis_points = 1_000
    with (
        Client(server.address, timeout=10, write_timeout=10) as client,
        connect_blocking(patient(server.redis_url)) as connection,
    ):
        client.upsert_placements([catalog_pb2.Placement(placement="push", quiet_hours=awake)])
        client.upsert_offers([offer])
        client.upsert_triggers([trigger])
        # By the clock of the hour above, so that the turn of an hour makes no difference.
        yield Shop(client, connection, now)
        client.delete_triggers(["price-cut"])
        client.delete_offers(["cheap"])
        client.delete_placements(["push"])


def test_what_was_viewed_and_is_cheaper_now_is_pushed_once(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    assert shop.told().state == customer_service_pb2.PUSH_STATE_WAITING
    (push,) = shop.lease()
    assert (push.trigger, push.motive_item_id, push.lease) == ("price-cut", ITEM, 1)
    assert (push.offer.offer_id, push.offer.item_id, push.offer.title) == ("cheap", ITEM, "Cheap now")
    sent = PushAcknowledgement(push_id=push.push_id, outcome=PushOutcome.PUSH_OUTCOME_SENT)
    assert [shop.client.acknowledge_pushes([sent]) for _ in range(2)] == [1, 0]
    shop.raise_pushes()
    assert shop.lease() == []
    assert (shop.told().state, shop.told().push_id) == (customer_service_pb2.PUSH_STATE_SENT, push.push_id)


def test_what_was_bought_meanwhile_is_not_pushed(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    shop.does("purchase")
    assert shop.lease() == []
    assert (shop.told().state, shop.told().reason) == (customer_service_pb2.PUSH_STATE_DROPPED, "motive")


def test_who_withdrew_consent_meanwhile_is_not_pushed_to(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    shop.consent(ConsentStatus.CONSENT_STATUS_WITHDRAWN)
    assert shop.lease() == []
    assert shop.told().reason == "consent"


def test_an_offer_that_is_gone_is_not_pushed(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    shop.client.delete_offers(["cheap"])
    assert shop.lease() == []
    assert shop.told().reason == "motive"


def test_a_paused_trigger_pushes_nothing_any_more(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    (trigger,) = shop.client.list_triggers()
    trigger.status = catalog_pb2.TRIGGER_STATUS_PAUSED
    trigger.etag = ""
    shop.client.upsert_triggers([trigger])
    assert shop.lease() == []
    assert shop.told().reason == "trigger"


def test_in_quiet_hours_a_push_waits(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    now = datetime.now(UTC)
    minute = now.hour * 60 + now.minute
    quiet = catalog_pb2.QuietHours(start_minute=(minute - 5) % 1_440, end_minute=(minute + 60) % 1_440)
    shop.client.upsert_placements([catalog_pb2.Placement(placement="push", quiet_hours=quiet)])
    assert shop.lease() == []
    assert shop.told().state == customer_service_pb2.PUSH_STATE_WAITING
    waiting = [push for push in shop.client.list_pushes(page_size=1_000).pushes if push.customer_id == shop.customer]
    assert waiting[0].due_time.ToDatetime(UTC) > now


def test_a_push_that_is_given_back_comes_again(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    (push,) = shop.lease()
    back = PushAcknowledgement(push_id=push.push_id, lease=push.lease, outcome=PushOutcome.PUSH_OUTCOME_RETURNED)
    assert shop.client.acknowledge_pushes([back]) == 1
    assert [one.lease for one in shop.lease()] == [2]
    assert shop.client.acknowledge_pushes([back]) == 0


def test_an_erased_customer_is_pushed_nothing(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    shop.client.erase_customer(shop.customer)
    assert shop.lease() == []
    assert not shop.client.get_customer(shop.customer).pushes


def test_two_ids_of_one_customer_get_one_push(shop: Shop) -> None:
    shop.does("view")
    shop.raise_pushes()
    shop.client.link_identities(shop.customer, [f"a-{shop.customer}"])
    shop.raise_pushes()
    (push,) = shop.lease()
    assert list(push.identity_ids) == [f"a-{shop.customer}", shop.customer]


def test_the_pause_after_a_push_holds_for_an_id_that_is_linked_afterwards(shop: Shop) -> None:
    kind, pause = catalog_pb2.TRIGGER_KIND_DISCOUNT, Duration(seconds=3_600)
    patient_trigger = catalog_pb2.Trigger(
        trigger="price-cut", kind=kind, delay=NONE, cooldown=NONE, spacing=pause, default_hour=shop.hour
    )
    shop.client.upsert_triggers([patient_trigger])
    shop.does("view")
    shop.raise_pushes()
    (push,) = shop.lease()
    shop.client.acknowledge_pushes([PushAcknowledgement(push_id=push.push_id, outcome=PushOutcome.PUSH_OUTCOME_SENT)])
    shop.client.link_identities(shop.customer, [f"a-{shop.customer}"])
    shop.does("view", OTHER_ITEM)
    shop.clock = time.time()  # what went out by the server's clock is in the past for whoever makes pushes
    shop.raise_pushes()
    assert shop.lease() == []
    states = [pushed.state for pushed in shop.client.get_customer(shop.customer).pushes]
    assert sorted(states) == [customer_service_pb2.PUSH_STATE_WAITING, customer_service_pb2.PUSH_STATE_SENT]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (PushAcknowledgement(outcome=PushOutcome.PUSH_OUTCOME_SENT), "push_id"),
        (PushAcknowledgement(push_id="p"), "outcome"),
        (PushAcknowledgement(push_id="p", outcome=PushOutcome.PUSH_OUTCOME_RETURNED), "lease"),
    ],
)
def test_a_bad_acknowledgement_is_refused_and_its_field_named(
    shop: Shop, given: PushAcknowledgement, field: str
) -> None:
    with pytest.raises(InvalidRequestError, match=rf"acknowledgements\[0\]\.{field}"):
        shop.client.acknowledge_pushes([given])


def test_the_commands_lease_list_and_acknowledge(
    shop: Shop, server: RunningServer, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.does("view")
    shop.raise_pushes()
    address = ["--address", server.address]
    assert run(["pushes", "list", *address]) == 0
    assert shop.customer in capsys.readouterr().out
    assert run(["pushes", "lease", "--json", "--visibility", "1", *address]) == 0
    leased = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (push,) = [one for one in leased if one["customer_id"] == shop.customer]
    assert run(["pushes", "acknowledge", "sent", push["push_id"], "--json", *address]) == 0
    assert json.loads(capsys.readouterr().out) == {"acknowledged": 1, "unknown": 0}
    assert run(["customers", "show", shop.customer, *address]) == 0
    assert "price-cut" in capsys.readouterr().out
