"""CustomerService as its callers see it: real servers, real Redis, real gRPC."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import pytest

from dangol.client import Client, InvalidRequestError
from dangol.v1.catalog_pb2 import Offer, Representation
from dangol.v1.customer_pb2 import Consent, ConsentStatus, Customer, CustomerAttribute, TextList
from dangol.v1.event_pb2 import Event
from models.outlook import OUTLOOK, pack_outlooks
from service.store.embedded import EmbeddedRedis
from tests.models_fixtures import LAST_EVENT_TIME, candidate, candidate_list, item_id, item_model
from tests.server_fixtures import publish_model, running_server

OWN = candidate_list([candidate(row, 1 - place / 10) for place, row in enumerate((7, 3, 11))])
SETTINGS = {"engine": "grpcio", "read_timeout": 1.0, "poll_interval": 0.05}
GRANTED, WITHDRAWN = ConsentStatus.CONSENT_STATUS_GRANTED, ConsentStatus.CONSENT_STATUS_WITHDRAWN


@pytest.fixture
def clients(tmp_path: Path, own_redis: EmbeddedRedis) -> Iterator[tuple[Client, Client]]:
    """Run two servers on one Redis, and give a client of each."""
    publish_model(own_redis.url, tmp_path, item_model(), {"ada": OWN})
    with (
        running_server(tmp_path / "one", own_redis.url, **SETTINGS) as one,
        running_server(tmp_path / "two", own_redis.url, **SETTINGS) as two,
        Client(one.address, timeout=10) as first,
        Client(two.address, timeout=10) as second,
    ):
        yield first, second


def saying(status: ConsentStatus.ValueType, channel: str = "") -> Customer:
    return Customer(customer_id="ada", consents=[Consent(category="marketing", channel=channel, status=status)])


def offers(client: Client, *consented: str, channel: str = "push") -> list[str]:
    slates = client.recommend_offers("ada", "default", consent_categories=consented, channel=channel).slates
    return [offer.offer_id for offer in slates[0].offers if offer.offer_id]


def test_consent_acts_at_the_next_call_of_every_server(clients: tuple[Client, Client]) -> None:
    one, two = clients
    one.upsert_offers([Offer(offer_id="o", item_ids=[item_id(7)], consent_category="marketing")])
    two.upsert_offers([Offer(offer_id="p", item_ids=[item_id(3)])])
    assert offers(two) == ["p"]
    assert offers(two, "marketing") == ["o", "p"]
    one.upsert_customers([saying(GRANTED)])
    assert offers(two) == ["o", "p"]
    one.upsert_customers([saying(WITHDRAWN, "push")])
    assert offers(two, "marketing") == ["p"]
    assert offers(two, "marketing", channel="web") == ["o", "p"]


def test_a_customer_is_told_as_stored_with_what_they_did_and_get_to_see(clients: tuple[Client, Client]) -> None:
    one, two = clients
    attributes = [
        CustomerAttribute(name="birth-year", number=1984),
        CustomerAttribute(name="member", truth=True),
        CustomerAttribute(name="segments", texts=TextList(values=["family", "organic"])),
        CustomerAttribute(name="tier", text="gold"),
    ]
    stored = Customer(customer_id="ada", time_zone="Asia/Seoul", language="ko", attributes=attributes)
    assert one.upsert_customers([stored]) == 1
    event = Event(event_id="e", customer_id="ada", event_type="view", item_id=item_id(3))
    event.event_time.GetCurrentTime()
    one.record_events([event])
    told = two.get_customer("ada", ["default"], page_size=1)
    assert told.customer.HasField("update_time")
    told.customer.ClearField("update_time")
    assert told.customer == stored
    assert [(event.event_type, event.item_id) for event in told.recent_events] == [("view", item_id(3))]
    assert told.slates[0].offers[0].item_id == item_id(7)
    assert told.slates[0].offers[0].reasons


def test_a_customer_is_told_with_what_the_model_expects(tmp_path: Path, own_redis: EmbeddedRedis) -> None:
    outlook = np.array([(2, 4, 3, 0.5, 64.0, -3.0)], OUTLOOK)
    expected = replace(OWN, outlook=int(pack_outlooks(outlook)[0]))
    publish_model(own_redis.url, tmp_path, item_model(), {"ada": expected, "bob": OWN})
    with running_server(tmp_path / "one", own_redis.url, **SETTINGS) as one, Client(one.address, timeout=10) as client:
        told = client.get_customer("ada").outlook
        assert (told.segment, told.recency_score, told.frequency_score, told.monetary_score) == ("at-risk", 2, 4, 3)
        assert told.churn_risk == pytest.approx(0.5, abs=0.01)
        assert told.value == pytest.approx(64, rel=0.02)
        assert told.purchase_time.ToDatetime(UTC) == LAST_EVENT_TIME - timedelta(days=3)
        assert not client.get_customer("bob").HasField("outlook")
        client.erase_customer("ada")
        assert not client.get_customer("ada").HasField("outlook")


def test_nobody_is_an_answer(clients: tuple[Client, Client]) -> None:
    told = clients[0].get_customer("nobody", ["default"])
    assert told.customer == Customer(customer_id="nobody")
    assert not told.recent_events
    assert told.slates[0].offers


def test_one_bad_customer_stores_nothing_of_its_batch(clients: tuple[Client, Client]) -> None:
    bad = Customer(customer_id="bob", attributes=[CustomerAttribute(name="tier")])
    with pytest.raises(InvalidRequestError, match=r"customers\[1\].attributes\[0\]: holds no value"):
        clients[0].upsert_customers([saying(GRANTED), bad])
    assert not clients[0].get_customer("ada").customer.consents


def test_an_answer_comes_in_the_stored_language_and_at_the_stored_clock(clients: tuple[Client, Client]) -> None:
    one, two = clients
    one.upsert_offers(
        [
            Offer(
                offer_id="o",
                item_ids=[item_id(7)],
                representations=[Representation(title="Bread"), Representation(language="ko", title="빵")],
            )
        ]
    )
    one.upsert_customers([Customer(customer_id="ada", language="ko")])
    slate = two.recommend_offers("ada", "default").slates[0]
    assert slate.offers[0].title == "빵"


def test_linked_ids_are_answered_as_one_customer_until_they_are_unlinked(clients: tuple[Client, Client]) -> None:
    one, two = clients
    dismissal = Event(event_id="e", customer_id="device", event_type="dismiss", item_id=item_id(7))
    dismissal.event_time.GetCurrentTime()
    one.record_events([dismissal])

    def first_item(customer_id: str) -> str:
        return str(two.recommend_offers(customer_id, "default").slates[0].offers[0].item_id)

    assert first_item("ada") == item_id(7)
    assert one.link_identities("ada", ["device"]) == ["ada", "device"]
    assert [first_item(name) for name in ("ada", "device")] == [item_id(3), item_id(3)]
    batch = two.batch_recommend_offers(["device", "ada"], "default").customer_slates
    assert [slate.customer_id for slate in batch] == ["device", "ada"]
    assert {slate.slate.offers[0].item_id for slate in batch} == {item_id(3)}
    assert list(two.get_customer("device").identity_ids) == ["ada", "device"]
    assert one.unlink_identities("device") == []
    assert first_item("ada") == item_id(7)


def test_an_id_is_no_alias_of_itself(clients: tuple[Client, Client]) -> None:
    with pytest.raises(InvalidRequestError, match=r"alias_ids\[1\]: is the customer_id itself"):
        clients[0].link_identities("ada", ["device", "ada"])
