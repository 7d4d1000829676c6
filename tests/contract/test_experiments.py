"""Experiments, from the catalogue's upsert to the answer and the log, over the wire."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from cli.main import run
from dangol.v1 import catalog_pb2, event_pb2, offer_service_pb2
from dangol.v1.catalog_service_pb2 import (
    DeleteExperimentsRequest,
    DeleteOffersRequest,
    DeletePlacementsRequest,
    ListExperimentsRequest,
    UpsertExperimentsRequest,
    UpsertOffersRequest,
    UpsertPlacementsRequest,
)
from dangol.v1.catalog_service_pb2_grpc import CatalogServiceStub
from dangol.v1.event_service_pb2 import RecordEventsRequest
from dangol.v1.event_service_pb2_grpc import EventServiceStub
from dangol.v1.offer_service_pb2 import BatchRecommendOffersRequest, RecommendOffersRequest
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from models.events import EXPOSURE, Event
from models.experiments import Arm, Experiment, arm_of, leads_to
from service.store.connection import connect_blocking
from service.store.event_log import read_log
from tests.redis_fixtures import patient
from tests.server_fixtures import RunningServer, wait_until

BY_PRIORITY = catalog_pb2.Policy(score_mode=catalog_pb2.SCORE_MODE_PRIORITY)
NAMES = [f"customer-{number}" for number in range(30)]


@pytest.fixture
def catalog(channel: grpc.Channel) -> Iterator[CatalogServiceStub]:
    """Give a catalogue with a placement and an offer of priority, and empty it afterwards."""
    stub = CatalogServiceStub(channel)
    placement = catalog_pb2.Placement(placement="tried", size=2)
    stub.UpsertPlacements(UpsertPlacementsRequest(placements=[placement]), timeout=10)
    offer = catalog_pb2.Offer(offer_id="first", item_ids=["item-005"], priority=9)
    stub.UpsertOffers(UpsertOffersRequest(offers=[offer]), timeout=10)
    yield stub
    stub.DeleteExperiments(DeleteExperimentsRequest(experiment_ids=["ranking", "other", "sales"]), timeout=10)
    stub.DeletePlacements(DeletePlacementsRequest(placements=["tried"]), timeout=10)
    stub.DeleteOffers(DeleteOffersRequest(offer_ids=["first"]), timeout=10)


def experiment(experiment_id: str = "ranking", **fields: Any) -> catalog_pb2.Experiment:  # noqa: ANN401 - whatever the message takes
    arms = [catalog_pb2.Arm(arm="control"), catalog_pb2.Arm(arm="priority", weight=3, policy=BY_PRIORITY)]
    made = catalog_pb2.Experiment(experiment_id=experiment_id, placements=["tried"], arms=arms)
    made.MergeFrom(catalog_pb2.Experiment(**fields))
    return made


def store(catalog: CatalogServiceStub, *experiments: catalog_pb2.Experiment) -> None:
    catalog.UpsertExperiments(UpsertExperimentsRequest(experiments=experiments), timeout=10)


def ask(channel: grpc.Channel, customer_id: str) -> offer_service_pb2.RecommendOffersResponse:
    request = RecommendOffersRequest(customer_id=customer_id, placements=["tried"])
    return OfferServiceStub(channel).RecommendOffers(request, timeout=10)


def exposures(server: RunningServer) -> list[Event]:
    with connect_blocking(patient(server.redis_url)) as connection:
        return [event for event in read_log(connection, "local") if event.event_type == EXPOSURE]


def test_an_answer_names_the_arm_that_anybody_can_compute_and_its_request_id_leads_to_it(
    channel: grpc.Channel, catalog: CatalogServiceStub
) -> None:
    assert not ask(channel, "ada").slates[0].HasField("exposure")
    store(catalog, experiment())
    known = Experiment("ranking", (), (Arm("control"), Arm("priority", 3)))
    for name in NAMES:
        answer = ask(channel, name)
        exposure = answer.slates[0].exposure
        assert (exposure.experiment_id, exposure.arm) == ("ranking", arm_of(known, name).arm)
        assert (answer.slates[0].offers[0].offer_id == "first") == (exposure.arm == "priority")
        assert leads_to(answer.served.request_id, "ranking")


def test_the_log_holds_each_exposure_once_however_often_the_customer_asks(
    server: RunningServer, channel: grpc.Channel, catalog: CatalogServiceStub
) -> None:
    store(catalog, experiment("other"))
    batch = BatchRecommendOffersRequest(customer_ids=["eve", "bob"], placement="tried")
    answered = OfferServiceStub(channel).BatchRecommendOffers(batch, timeout=10)
    assert leads_to(answered.served.request_id, "other")
    for _ in range(3):
        arm = ask(channel, "eve").slates[0].exposure.arm
    wait_until(lambda: {event.customer_id for event in exposures(server)} >= {"eve", "bob"})
    (noted,) = [event for event in exposures(server) if event.customer_id == "eve"]
    assert (noted.experiment_id, noted.arm) == ("other", arm)
    assert answered.served.request_id.startswith(noted.request_id)


def test_nobody_but_a_server_says_that_a_customer_was_exposed(channel: grpc.Channel) -> None:
    event = event_pb2.Event(event_id="x", customer_id="ada", event_type=EXPOSURE, offer_id="first")
    event.event_time.GetCurrentTime()
    with pytest.raises(grpc.RpcError, match=r"events\[0\].event_type: is not a type that the service knows"):
        EventServiceStub(channel).RecordEvents(RecordEventsRequest(events=[event]), timeout=10)


def test_interleaved_offers_name_their_arm(channel: grpc.Channel, catalog: CatalogServiceStub) -> None:
    store(catalog, experiment(mode=catalog_pb2.EXPERIMENT_MODE_INTERLEAVED))
    slate = ask(channel, "ada").slates[0]
    assert (slate.exposure.experiment_id, slate.exposure.arm) == ("ranking", "")
    assert {offer.arm for offer in slate.offers} == {"control", "priority"}


def test_the_report_tells_what_those_who_met_an_arm_bought_then(
    server: RunningServer, channel: grpc.Channel, catalog: CatalogServiceStub, capsys: pytest.CaptureFixture[str]
) -> None:
    store(catalog, experiment("sales"))
    met: dict[str, list[str]] = {"control": [], "priority": []}
    purchases = []
    for name in NAMES:
        answer = ask(channel, name)
        met[answer.slates[0].exposure.arm].append(name)
        if answer.slates[0].exposure.arm == "priority":
            event = event_pb2.Event(
                event_id=f"sales-{name}", customer_id=name, event_type="purchase", item_id="item-005"
            )
            event.value.minor_units, event.value.currency_code = 250, "EUR"
            event.request_id = answer.served.request_id
            event.event_time.GetCurrentTime()
            purchases.append(event)
    EventServiceStub(channel).RecordEvents(RecordEventsRequest(events=purchases), timeout=10)
    wait_until(lambda: sum(event.experiment_id == "sales" for event in exposures(server)) == len(NAMES))
    assert run(["experiments", "report", "sales", "--redis-url", server.redis_url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    for arm, (conversion, revenue) in zip(told["arms"], ((0, 0), (1, 250)), strict=True):
        assert arm["customers"] == len(met[arm["arm"]])
        assert [outcome["sample"]["mean"] for outcome in arm["outcomes"]] == [conversion, revenue] * 2


def test_what_is_left_to_chance_is_told_with_its_probability(
    channel: grpc.Channel, catalog: CatalogServiceStub
) -> None:
    policy = catalog_pb2.Policy(exploration=catalog_pb2.Exploration(percent=50))
    placement = catalog_pb2.Placement(placement="tried", size=2, policy=policy)
    catalog.UpsertPlacements(UpsertPlacementsRequest(placements=[placement]), timeout=10)
    slates = [ask(channel, "ada").slates[0] for _ in range(30)]
    assert len({tuple(offer.item_id for offer in slate.offers) for slate in slates}) > 1
    assert all(0 < offer.selection_probability <= 1 for slate in slates for offer in slate.offers)
    kept = [slate for slate in slates if slate.offers[0].item_id == "item-007"]
    assert {round(slate.offers[0].selection_probability, 3) for slate in kept} == {0.525}


def test_a_placement_has_one_running_experiment_at_a_time(catalog: CatalogServiceStub) -> None:
    store(catalog, experiment(), experiment("other", status=catalog_pb2.EXPERIMENT_STATUS_DRAFT))
    with pytest.raises(grpc.RpcError, match="tried would have two experiments at a time, ranking and other"):
        store(catalog, experiment("other"))
    store(catalog, experiment(status=catalog_pb2.EXPERIMENT_STATUS_ENDED), experiment("other"))


def test_a_stale_experiment_is_aborted(catalog: CatalogServiceStub) -> None:
    store(catalog, experiment())
    (stored,) = catalog.ListExperiments(ListExperimentsRequest(), timeout=10).experiments
    assert stored.status == catalog_pb2.EXPERIMENT_STATUS_RUNNING
    stored.arms[1].weight = 1
    store(catalog, stored)
    with pytest.raises(grpc.RpcError, match=r"StatusCode\.ABORTED"):
        store(catalog, stored)
