"""Offers on terms, from the catalogue's upsert to the answer, over the wire."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from dangol.v1 import catalog_pb2, event_pb2, offer_service_pb2
from dangol.v1.catalog_service_pb2 import (
    DeleteOffersRequest,
    DeletePlacementsRequest,
    ListOffersRequest,
    UpsertOffersRequest,
    UpsertPlacementsRequest,
)
from dangol.v1.catalog_service_pb2_grpc import CatalogServiceStub
from dangol.v1.event_service_pb2 import RecordEventsRequest
from dangol.v1.event_service_pb2_grpc import EventServiceStub
from dangol.v1.offer_service_pb2 import BatchRecommendOffersRequest, RecommendOffersRequest
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from tests.server_fixtures import wait_until

SEVEN = "item-007"


@pytest.fixture
def catalog(channel: grpc.Channel) -> Iterator[CatalogServiceStub]:
    """Give the catalogue, and empty it of offers and placements afterwards: other tests share the server."""
    stub = CatalogServiceStub(channel)
    yield stub
    offers = [offer.offer_id for offer in stub.ListOffers(ListOffersRequest(), timeout=10).offers]
    if offers:
        stub.DeleteOffers(DeleteOffersRequest(offer_ids=offers), timeout=10)
    stub.DeletePlacements(DeletePlacementsRequest(placements=["terms"]), timeout=10)


def made(**fields: Any) -> catalog_pb2.Offer:  # noqa: ANN401 - whatever the message takes
    return catalog_pb2.Offer(**fields)


def store(catalog: CatalogServiceStub, *offers: catalog_pb2.Offer) -> None:
    catalog.UpsertOffers(UpsertOffersRequest(offers=offers), timeout=10)


def ask(channel: grpc.Channel, placement: str = "default", **rules: Any) -> offer_service_pb2.Slate:  # noqa: ANN401 - as above
    asked: dict[str, Any] = {"customer_id": "ada", "placements": [placement], "page_size": 2}
    request = RecommendOffersRequest(**(asked | rules))
    return OfferServiceStub(channel).RecommendOffers(request, timeout=10).slates[0]


def test_an_offer_answers_in_the_language_and_for_the_placement_asked(
    channel: grpc.Channel, catalog: CatalogServiceStub
) -> None:
    looks = [
        {"title": "Bread week", "link_uri": "shop://bread"},
        {"title": "Brotwoche", "language": "de", "content": {"badge": "-20 %"}},
    ]
    store(catalog, made(offer_id="o", item_ids=[SEVEN], title="internal", representations=looks))
    english, german = ask(channel, language="en").offers[0], ask(channel, language="de-AT").offers[0]
    assert (english.title, english.representation.link_uri) == ("Bread week", "shop://bread")
    assert (german.title, german.representation.content["badge"]) == ("Brotwoche", "-20 %")
    assert not ask(channel).offers[1].HasField("representation")


def test_the_hour_is_that_of_the_customers_zone(channel: grpc.Channel, catalog: CatalogServiceStub) -> None:
    always = [{"end_minute": 720}, {"start_minute": 720}]
    store(catalog, made(offer_id="o", item_ids=[SEVEN], weekly_hours=always))
    assert ask(channel, time_zone="Asia/Seoul").offers[0].offer_id == "o"
    with pytest.raises(grpc.RpcError, match="time_zone: "):
        ask(channel, time_zone="Asia/Nowhere")


def test_a_stale_update_is_aborted(channel: grpc.Channel, catalog: CatalogServiceStub) -> None:
    store(catalog, made(offer_id="o", item_ids=[SEVEN]))
    (first,) = catalog.ListOffers(ListOffersRequest(), timeout=10).offers
    first.title = "changed"
    store(catalog, first)
    with pytest.raises(grpc.RpcError, match=r"StatusCode\.ABORTED"):
        store(catalog, first)


def test_a_policy_orders_explains_and_tells_why_not(channel: grpc.Channel, catalog: CatalogServiceStub) -> None:
    levers = [catalog_pb2.Lever(label="push", percent=900)]
    policy = catalog_pb2.Policy(score_mode=catalog_pb2.SCORE_MODE_ARBITRATED, levers=levers)
    placement = catalog_pb2.Placement(placement="terms", policy=policy)
    catalog.UpsertPlacements(UpsertPlacementsRequest(placements=[placement]), timeout=10)
    store(
        catalog,
        made(offer_id="pushed", item_ids=["item-003"], labels=["push"]),
        made(offer_id="paused", item_ids=[SEVEN], status=catalog_pb2.OFFER_STATUS_PAUSED),
    )
    slate = ask(channel, "terms", explain=True, trace_offer_ids=["paused", "pushed"])
    assert [offer.item_id for offer in slate.offers] == ["item-003", SEVEN]
    assert slate.offers[0].factors.lever == pytest.approx(10.0)
    told = [(trace.offer_id, trace.rank, trace.rule) for trace in slate.traces]
    assert told == [("paused", 0, offer_service_pb2.TRACE_RULE_STATUS), ("pushed", 1, 0)]
    assert not ask(channel, "terms").offers[0].HasField("factors")


def test_an_empty_slate_holds_the_fallback(channel: grpc.Channel, catalog: CatalogServiceStub) -> None:
    placement = catalog_pb2.Placement(placement="terms", plain_items=catalog_pb2.PLAIN_ITEMS_REFUSED)
    catalog.UpsertPlacements(UpsertPlacementsRequest(placements=[placement]), timeout=10)
    store(catalog, made(offer_id="welcome", title="Welcome", fallback=True))
    (offer,) = ask(channel, "terms").offers
    assert (offer.offer_id, offer.item_id, offer.title) == ("welcome", "", "Welcome")
    assert offer.reasons[0].code == offer_service_pb2.REASON_CODE_FALLBACK


def test_a_budget_is_kept_and_its_unit_gives_way_to_the_next_offer_and_is_told(
    channel: grpc.Channel, catalog: CatalogServiceStub
) -> None:
    store(
        catalog,
        made(offer_id="scarce", item_ids=[SEVEN], budget={"units": 1}, priority=1),
        made(offer_id="plenty", item_ids=[SEVEN]),
    )
    assert ask(channel).offers[0].offer_id == "scarce"
    assert ask(channel).offers[0].offer_id == "scarce"
    slate = ask(channel, customer_id="eve", page_size=20, trace_offer_ids=["scarce"])
    assert "plenty" in {offer.offer_id for offer in slate.offers}
    assert slate.traces[0].rule == offer_service_pb2.TRACE_RULE_BUDGET
    redeem = event_pb2.Event(event_id="r", customer_id="ada", event_type="redeem", offer_id="scarce")
    redeem.event_time.GetCurrentTime()
    for _ in range(2):
        EventServiceStub(channel).RecordEvents(RecordEventsRequest(events=[redeem]), timeout=10)
    assert ask(channel).offers[0].offer_id == "plenty"
    batch = BatchRecommendOffersRequest(customer_ids=["ada", "bob"], placement="default", page_size=20)
    answer = OfferServiceStub(channel).BatchRecommendOffers(batch, timeout=10)
    shown = {offer.offer_id for one in answer.customer_slates for offer in one.slate.offers}
    assert "scarce" not in shown
    assert not answer.served.degraded
    catalog.DeleteOffers(DeleteOffersRequest(offer_ids=["scarce"]), timeout=10)
    store(catalog, made(offer_id="scarce", item_ids=[SEVEN], budget={"units": 1}, priority=1))
    assert "scarce" in {offer.offer_id for offer in ask(channel, customer_id="eve", page_size=20).offers}


def test_what_reaches_its_cap_gives_way_at_once_and_is_told(channel: grpc.Channel, catalog: CatalogServiceStub) -> None:
    daily = {"maximal_count": 2, "period": catalog_pb2.CAP_PERIOD_DAY}
    store(
        catalog,
        made(offer_id="capped", item_ids=[SEVEN], caps=[daily], priority=1),
        made(offer_id="plenty", item_ids=[SEVEN]),
    )
    for number, shown in enumerate(("capped", "capped", "plenty")):
        assert ask(channel).offers[0].offer_id == shown
        seen = event_pb2.Event(event_id=f"s{number}", customer_id="ada", event_type="impression", offer_id="capped")
        seen.event_time.GetCurrentTime()
        for _ in range(2):
            EventServiceStub(channel).RecordEvents(RecordEventsRequest(events=[seen]), timeout=10)
    slate = ask(channel, trace_offer_ids=["capped"])
    assert slate.traces[0].rule == offer_service_pb2.TRACE_RULE_CAP
    assert ask(channel, customer_id="eve", page_size=20).offers[7].offer_id == "capped"


def test_a_cap_on_decisions_is_counted_by_the_answers_themselves(
    channel: grpc.Channel, catalog: CatalogServiceStub
) -> None:
    once = {"maximal_count": 1, "event": catalog_pb2.CAP_EVENT_DECISION, "placement": "default"}
    store(catalog, made(offer_id="once", item_ids=[SEVEN], caps=[once]))
    assert [ask(channel).offers[0].offer_id for _ in range(3)] == ["once", "", ""]


def test_a_cap_on_everybody_is_reached_by_everybody_together(
    channel: grpc.Channel, catalog: CatalogServiceStub
) -> None:
    clicks = {"maximal_count": 2, "scope": catalog_pb2.CAP_SCOPE_TOTAL, "event": catalog_pb2.CAP_EVENT_CLICK}
    store(catalog, made(offer_id="total", item_ids=[SEVEN], caps=[clicks]))
    for name in ("bob", "eve"):
        assert ask(channel).offers[0].offer_id == "total"
        click = event_pb2.Event(event_id=f"c-{name}", customer_id=name, event_type="click", offer_id="total")
        click.event_time.GetCurrentTime()
        EventServiceStub(channel).RecordEvents(RecordEventsRequest(events=[click]), timeout=10)
    wait_until(lambda: not ask(channel).offers[0].offer_id)
    catalog.DeleteOffers(DeleteOffersRequest(offer_ids=["total"]), timeout=10)
    store(catalog, made(offer_id="total", item_ids=[SEVEN], caps=[clicks]))
    wait_until(lambda: ask(channel).offers[0].offer_id == "total")
