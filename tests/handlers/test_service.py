"""The service as its callers see it: real server, real Redis, real gRPC."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dangol.v1 import catalog_pb2
from dangol.v1 import catalog_service_pb2 as catalog
from dangol.v1 import model_service_pb2 as model
from dangol.v1.catalog_service_pb2_grpc import CatalogServiceStub
from dangol.v1.event_pb2 import Event
from dangol.v1.event_service_pb2 import RecordEventsRequest
from dangol.v1.event_service_pb2_grpc import EventServiceStub
from dangol.v1.model_service_pb2_grpc import ModelServiceStub
from dangol.v1.offer_service_pb2 import RankedOffer, RecommendOffersRequest
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from models.registry import Registry
from service.store.embedded import EmbeddedRedis
from tests.models_fixtures import candidate, candidate_list, item_id, item_model
from tests.server_fixtures import RunningServer, publish_model, running_server, wait_until

OWN = candidate_list([candidate(row, 1 - place / 10) for place, row in enumerate((7, 3, 11))])
SETTINGS = {"engine": "grpcio", "read_timeout": 1.0}


@pytest.fixture
def server(tmp_path: Path, own_redis: EmbeddedRedis) -> Iterator[RunningServer]:
    """Run a server with a published model."""
    publish_model(own_redis.url, tmp_path, item_model(), {"ada": OWN})
    with running_server(tmp_path, own_redis.url, **SETTINGS) as running:
        yield running


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    """Connect to the server."""
    with server.channel() as opened:
        yield opened


def recommended(channel: grpc.Channel) -> list[RankedOffer]:
    request = RecommendOffersRequest(customer_id="ada", placements=["default"], page_size=3)
    return list(OfferServiceStub(channel).RecommendOffers(request, timeout=10).slates[0].offers)


def item_ids(offers: list[RankedOffer]) -> list[str]:
    return [offer.item_id for offer in offers]


def record(channel: grpc.Channel, event_type: str, row: int, event_id: str = "e") -> tuple[int, int]:
    event = Event(event_id=event_id, customer_id="ada", event_type=event_type, item_id=item_id(row))
    event.event_time.FromDatetime(datetime.now(UTC))
    answer = EventServiceStub(channel).RecordEvents(RecordEventsRequest(events=[event]), timeout=10)
    return answer.recorded_count, answer.duplicate_count


def test_a_purchase_and_a_dismissal_count_at_the_next_request(channel: grpc.Channel) -> None:
    assert item_ids(recommended(channel))[0] == item_id(7)
    assert record(channel, "purchase", 7, "a") == (1, 0)
    assert record(channel, "dismiss", 3, "b") == (1, 0)
    assert item_ids(recommended(channel))[0] == item_id(11)


def test_an_event_counts_once_per_id(channel: grpc.Channel) -> None:
    assert record(channel, "view", 7) == (1, 0)
    assert record(channel, "view", 7) == (0, 1)


def test_one_bad_event_stores_nothing_of_its_batch(channel: grpc.Channel) -> None:
    good = Event(event_id="good", customer_id="ada", event_type="dismiss", item_id=item_id(7))
    good.event_time.FromDatetime(datetime.now(UTC))
    bad = Event(event_id="bad", customer_id="ada", event_type="dismiss", item_id=item_id(3))
    with pytest.raises(grpc.RpcError, match=r"events\[1\].event_time: is required"):
        EventServiceStub(channel).RecordEvents(RecordEventsRequest(events=[good, bad]), timeout=10)
    assert item_ids(recommended(channel))[0] == item_id(7)


def test_an_offer_is_shown_with_its_terms_as_soon_as_its_upsert_returns(channel: grpc.Channel) -> None:
    shop = CatalogServiceStub(channel)
    price = catalog_pb2.Money(minor_units=999, currency_code="EUR")
    item = catalog_pb2.Item(item_id=item_id(7), title="Seven", price=price)
    first = shop.UpsertItems(catalog.UpsertItemsRequest(items=[item]), timeout=10)
    offer = catalog_pb2.Offer(
        offer_id="o", item_ids=[item_id(7)], title="A quarter off", discount=catalog_pb2.Discount(off_basis_points=2500)
    )
    second = shop.UpsertOffers(catalog.UpsertOffersRequest(offers=[offer]), timeout=10)
    assert second.catalog_version > first.catalog_version
    (shown,) = recommended(channel)
    assert (shown.offer_id, shown.title, shown.item_title) == ("o", "A quarter off", "Seven")
    assert shown.terms.discounted_price == catalog_pb2.Money(minor_units=749, currency_code="EUR")
    shop.DeleteOffers(catalog.DeleteOffersRequest(offer_ids=["o", "never-was"]), timeout=10)
    assert recommended(channel)[0].offer_id == ""


def test_the_catalogue_is_listed_page_by_page(channel: grpc.Channel) -> None:
    shop = CatalogServiceStub(channel)
    items = [catalog_pb2.Item(item_id=f"i-{number}") for number in range(5)]
    shop.UpsertItems(catalog.UpsertItemsRequest(items=items), timeout=10)
    first = shop.ListItems(catalog.ListItemsRequest(page_size=3), timeout=10)
    rest = shop.ListItems(catalog.ListItemsRequest(page_size=3, page_token=first.next_page_token), timeout=10)
    assert [item.item_id for item in (*first.items, *rest.items)] == [f"i-{number}" for number in range(5)]
    assert rest.next_page_token == ""
    placements = shop.ListPlacements(catalog.ListPlacementsRequest(), timeout=10).placements
    assert [placement.placement for placement in placements] == ["default"]


def test_another_server_sees_a_change_soon(
    tmp_path: Path, own_redis: EmbeddedRedis, server: RunningServer, channel: grpc.Channel
) -> None:
    placement = catalog_pb2.Placement(placement="cart-side", size=1)
    with running_server(tmp_path / "other", own_redis.url, **SETTINGS) as other, other.channel() as other_channel:
        CatalogServiceStub(channel).UpsertPlacements(
            catalog.UpsertPlacementsRequest(placements=[placement]), timeout=10
        )
        listed = CatalogServiceStub(other_channel).ListPlacements
        wait_until(lambda: len(listed(catalog.ListPlacementsRequest(), timeout=10).placements) == 2)


def test_promote_and_roll_back_move_what_is_served_and_the_registry_follows(
    tmp_path: Path, own_redis: EmbeddedRedis, server: RunningServer, channel: grpc.Channel
) -> None:
    models, registry = ModelServiceStub(channel), Registry(tmp_path / "models")
    old = models.GetServedModel(model.GetServedModelRequest(), timeout=10).generation
    new = publish_model(own_redis.url, tmp_path, item_model(30), {"ada": OWN})

    def served() -> int:
        return int(models.GetServedModel(model.GetServedModelRequest(), timeout=10).generation.generation)

    wait_until(lambda: served() == new.generation)
    models.RollBackModel(model.RollBackModelRequest(), timeout=10)
    assert (served(), registry.current()) == (old.generation, old.model_version)
    models.PromoteModel(model.PromoteModelRequest(model_version=new.model_version, force=True), timeout=10)
    assert (served(), registry.current()) == (new.generation, new.model_version)
    states = [
        generation.state
        for generation in models.ListGenerations(model.ListGenerationsRequest(), timeout=10).generations
    ]
    assert states == [model.GENERATION_STATE_LIVE, model.GENERATION_STATE_RETIRED]
    with pytest.raises(grpc.RpcError, match="publish it first"):
        models.PromoteModel(model.PromoteModelRequest(model_version="20200101-never"), timeout=10)


def test_a_model_that_did_not_pass_the_gate_is_promoted_by_force_alone_and_the_history_tells(
    tmp_path: Path, own_redis: EmbeddedRedis, server: RunningServer, channel: grpc.Channel
) -> None:
    models = ModelServiceStub(channel)
    new = publish_model(own_redis.url, tmp_path, item_model(30), {"ada": OWN})

    def served() -> int:
        return int(models.GetServedModel(model.GetServedModelRequest(), timeout=10).generation.generation)

    wait_until(lambda: served() == new.generation)
    models.RollBackModel(model.RollBackModelRequest(), timeout=10)
    request = model.PromoteModelRequest(model_version=new.model_version)
    with pytest.raises(grpc.RpcError, match="was not asked about") as refused:
        models.PromoteModel(request, timeout=10)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    request.force = True
    promoted = models.PromoteModel(request, timeout=10).generation
    assert promoted.gate_verdict == model.GATE_VERDICT_UNASKED
    [*_, last] = (tmp_path / "models" / "promotions.jsonl").read_text().splitlines()
    assert "forced" in json.loads(last)["note"]


def test_a_model_is_held_and_released_over_the_wire(
    tmp_path: Path, own_redis: EmbeddedRedis, server: RunningServer, channel: grpc.Channel
) -> None:
    models = ModelServiceStub(channel)
    (old,) = models.ListGenerations(model.ListGenerationsRequest(), timeout=10).generations
    held = models.HoldModel(model.HoldModelRequest(model_version=old.model_version), timeout=10).generation
    assert held.HasField("hold_time")
    publish_model(own_redis.url, tmp_path, item_model(30), {"ada": OWN})
    listed = models.ListGenerations(model.ListGenerationsRequest(), timeout=10).generations
    assert [(one.state, one.HasField("hold_time")) for one in listed] == [
        (model.GENERATION_STATE_LIVE, False),
        (model.GENERATION_STATE_RETIRED, True),
    ]
    release = model.ReleaseModelRequest(model_version=old.model_version)
    assert not models.ReleaseModel(release, timeout=10).generation.HasField("hold_time")
    with pytest.raises(grpc.RpcError, match="is held"):
        models.ReleaseModel(release, timeout=10)


def test_a_server_without_a_model_is_not_serving_and_begins_by_itself(tmp_path: Path, own_redis: EmbeddedRedis) -> None:
    with running_server(tmp_path, own_redis.url, **SETTINGS) as running, running.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60)
        statuses = iter(watch)
        assert next(statuses).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError, match="no model is loaded yet"):
            recommended(channel)
        publish_model(own_redis.url, tmp_path, item_model(), {"ada": OWN})
        assert next(statuses).status == health_pb2.HealthCheckResponse.SERVING
        assert item_ids(recommended(channel))[0] == item_id(7)
        assert running.terminate() == 0
        assert next(statuses).status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_metrics_tell_calls_and_generation_on_loopback(server: RunningServer, channel: grpc.Channel) -> None:

    recommended(channel)
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert server.metrics_address.startswith("127.0.0.1:")
    assert 'dangol_request_seconds_count{method="/dangol.v1.OfferService/RecommendOffers",status="OK"} 1.0' in text
    for name in ("dangol_generation", "dangol_snapshot_age_seconds", "dangol_in_flight_requests"):
        assert f"\n{name} " in text
    assert 'dangol_redis_read_seconds_count{outcome="ok"} 1.0' in text
