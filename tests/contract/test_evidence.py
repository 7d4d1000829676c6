"""Explained answers share what the factors see of an item out over the customer's own events."""

from collections.abc import Iterator
from datetime import UTC, datetime

import grpc
import pytest

from dangol.v1.event_pb2 import Event
from dangol.v1.event_service_pb2 import RecordEventsRequest
from dangol.v1.event_service_pb2_grpc import EventServiceStub
from dangol.v1.offer_service_pb2 import Fallback, RecommendOffersRequest, RecommendOffersResponse
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import publish
from service.store.connection import connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.generation_store import GenerationStore
from service.store.keys import MetaKeys
from tests.live.shop import write_foldable
from tests.models_fixtures import item_id
from tests.redis_fixtures import patient
from tests.server_fixtures import ENGINES, running_server


@pytest.fixture(params=ENGINES)
def channel(
    request: pytest.FixtureRequest, own_redis: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[grpc.Channel]:
    """Serve a model with factors, with each engine, to a customer who has just bought and viewed something."""
    directory = tmp_path_factory.mktemp("evidence")
    registry = Registry(directory / "models")
    with connect_blocking(patient(own_redis.url)) as connection:
        publish(registry, write_foldable(registry), GenerationStore(connection), "local", SilentProgress())
    with running_server(directory, own_redis.url, engine=request.param) as running, running.channel() as opened:
        events = [
            Event(event_id=f"{row}", customer_id="ada", event_type=kind, item_id=item_id(row))
            for row, kind in ((12, "purchase"), (3, "view"), (7, "dismiss"))
        ]
        for event in events:
            event.event_time.FromDatetime(datetime.now(UTC))
        EventServiceStub(opened).RecordEvents(RecordEventsRequest(events=events), timeout=10)
        yield opened


def asked(channel: grpc.Channel, *, explain: bool) -> RecommendOffersResponse:
    request = RecommendOffersRequest(customer_id="ada", placements=["default"], page_size=20, explain=explain)
    return OfferServiceStub(channel).RecommendOffers(request, timeout=10)


def test_the_shares_add_up_and_the_nearest_event_has_the_most(channel: grpc.Channel) -> None:
    offers = {offer.item_id: offer for offer in asked(channel, explain=True).slates[0].offers}
    for offer in offers.values():
        assert {one.item_id for one in offer.evidence_shares} == {item_id(12), item_id(3)}
        assert sum(one.share for one in offer.evidence_shares) == pytest.approx(offer.collaborative_score)
    alike_to_12, alike_to_3 = offers[item_id(14)], offers[item_id(4)]
    assert alike_to_12.evidence_shares[0].item_id == item_id(12)
    assert alike_to_3.evidence_shares[0].item_id == item_id(3)
    assert alike_to_12.collaborative_score > alike_to_3.collaborative_score > 0


def test_nothing_is_shared_out_unless_asked(channel: grpc.Channel) -> None:
    for offer in asked(channel, explain=False).slates[0].offers:
        assert not offer.evidence_shares
        assert offer.collaborative_score == 0


def test_an_answer_says_when_the_factors_cannot_be_read(channel: grpc.Channel, own_redis: EmbeddedRedis) -> None:
    with connect_blocking(patient(own_redis.url)) as connection:
        generation = GenerationStore(connection).overview("local").live_generation
        connection.client.execute_command("DEL", MetaKeys("local").fold_part(generation, 0))
    answer = asked(channel, explain=True)
    assert answer.served.fallback == Fallback.FALLBACK_NO_SHARES
    assert answer.served.degraded
    assert answer.slates[0].offers
    assert not any(offer.evidence_shares for offer in answer.slates[0].offers)
