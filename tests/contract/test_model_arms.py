"""Arms that name a model: each is filled by its own generation, out of one read, and says so."""

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from dangol.v1 import catalog_pb2, event_pb2, offer_service_pb2
from dangol.v1.catalog_service_pb2 import (
    DeleteExperimentsRequest,
    DeletePlacementsRequest,
    ListExperimentsRequest,
    UpsertExperimentsRequest,
    UpsertPlacementsRequest,
)
from dangol.v1.catalog_service_pb2_grpc import CatalogServiceStub
from dangol.v1.customer_service_pb2 import GetCustomerRequest, LinkIdentitiesRequest, UnlinkIdentitiesRequest
from dangol.v1.customer_service_pb2_grpc import CustomerServiceStub
from dangol.v1.event_service_pb2 import RecordEventsRequest
from dangol.v1.event_service_pb2_grpc import EventServiceStub
from dangol.v1.model_service_pb2 import ReleaseModelRequest
from dangol.v1.model_service_pb2_grpc import ModelServiceStub
from dangol.v1.offer_service_pb2 import BatchRecommendOffersRequest, RecommendOffersRequest, RecommendOffersResponse
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from models.experiments import Arm, Experiment, arm_of
from models.progress import SilentProgress
from models.registry import Registry
from models.vocabulary import Vocabulary
from service import publisher
from service.store.connection import connect_blocking
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore
from tests.live import shop
from tests.models_fixtures import (
    FIRST_EVENT_TIME,
    LAST_EVENT_TIME,
    candidate,
    candidate_list,
    candidate_table,
    item_id,
    item_model,
)
from tests.redis_fixtures import patient
from tests.server_fixtures import RunningServer

NAMES = [f"customer-{number}" for number in range(20)]
SPLIT = Experiment("models", (), (Arm("control"), Arm("rival")))
ARMS = {name: arm_of(SPLIT, name).arm for name in NAMES}
CONTROL = next(name for name in NAMES if ARMS[name] == "control")
RIVAL = next(name for name in NAMES if ARMS[name] == "rival")
LAST = 24
FOLDABLE = {
    "events": shop.EVENTS,
    "factors": {"factors": 4, "regularization": 2.0, "confidence_scale": 10.0},
    "list_size": 8,
    "new_share": 0.5,
}


@dataclass(frozen=True)
class Models:
    """Says which generation is served and which one is held."""

    live: GenerationRecord
    held: GenerationRecord

    def of(self, arm: str) -> GenerationRecord:
        return self.held if arm == "rival" else self.live


def tried(version: str, *placements: str, ended: bool = False) -> catalog_pb2.Experiment:
    arms = [catalog_pb2.Arm(arm="control"), catalog_pb2.Arm(arm="rival", model_version=version)]
    status = catalog_pb2.EXPERIMENT_STATUS_ENDED if ended else catalog_pb2.EXPERIMENT_STATUS_RUNNING
    return catalog_pb2.Experiment(experiment_id="models", placements=placements, arms=arms, status=status)


def store(channel: grpc.Channel, experiment: catalog_pb2.Experiment) -> None:
    CatalogServiceStub(channel).UpsertExperiments(UpsertExperimentsRequest(experiments=[experiment]), timeout=10)


@pytest.fixture
def models(server: RunningServer, channel: grpc.Channel, tmp_path: Path) -> Iterator[Models]:
    """Hold a model that numbers its items backwards beside the served one, and let an arm on one placement name it."""
    held_model = replace(item_model(LAST + 1), vocabulary=Vocabulary([item_id(LAST - row) for row in range(LAST + 1)]))
    lists = {name: candidate_list([candidate(LAST - 11, 1.0), candidate(LAST - 2, 0.9)]) for name in NAMES}
    registry = Registry(tmp_path / "rivals")
    with registry.writer() as writer:
        writer.write_items(held_model)
        writer.write_factors(np.ones((LAST + 1, 4), dtype=np.float32))
        writer.write_lists(candidate_table(lists))
        version = writer.finish(
            first_event_time=FIRST_EVENT_TIME,
            last_event_time=LAST_EVENT_TIME,
            counts={"customers": len(lists), "items": LAST + 1},
            configuration=FOLDABLE,
            metrics={"ranker": {"weights": {"new": {"collaborative": 2.0, "neighbors": 0.3}}}},
        ).model_version
    catalog = CatalogServiceStub(channel)
    placements = [catalog_pb2.Placement(placement=name, size=2) for name in ("tried", "aside")]
    catalog.UpsertPlacements(UpsertPlacementsRequest(placements=placements), timeout=10)
    with connect_blocking(patient(server.redis_url)) as connection:
        generations = GenerationStore(connection)
        held = publisher.hold(registry, version, generations, "local", SilentProgress())
        live = generations.overview("local").live
        assert live is not None
        store(channel, tried(version, "tried"))
        yield Models(live, held)
        catalog.DeleteExperiments(DeleteExperimentsRequest(experiment_ids=["models"]), timeout=10)
        catalog.DeletePlacements(DeletePlacementsRequest(placements=["tried", "aside"]), timeout=10)
        generations.hold("local", version)
        publisher.release(version, generations, "local", SilentProgress())


def ask(channel: grpc.Channel, customer_id: str, *placements: str, explain: bool = False) -> RecommendOffersResponse:
    request = RecommendOffersRequest(
        customer_id=customer_id, placements=placements or ["tried"], explain=explain, trace_offer_ids=["gone"]
    )
    if not explain:
        request.ClearField("trace_offer_ids")
    return OfferServiceStub(channel).RecommendOffers(request, timeout=10)


def items_of(slate: offer_service_pb2.Slate) -> list[str]:
    return [offer.item_id for offer in slate.offers]


def metric(server: RunningServer, name: str) -> float:
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


def test_each_arm_is_filled_by_its_own_model_out_of_one_read_and_says_so(
    server: RunningServer, channel: grpc.Channel, models: Models
) -> None:
    reads = metric(server, 'dangol_redis_read_seconds_count{outcome="ok"}')
    for name, arm in ARMS.items():
        answer, generation = ask(channel, name), models.of(arm)
        slate, served = answer.slates[0], answer.served
        assert items_of(slate) == ([item_id(11), item_id(2)] if arm == "rival" else [item_id(0), item_id(1)])
        assert (slate.exposure.arm, slate.exposure.model_version) == (arm, generation.model_version)
        assert slate.exposure.generation == served.generation == generation.generation
        assert (served.model_version, served.degraded) == (generation.model_version, False)
    assert metric(server, 'dangol_redis_read_seconds_count{outcome="ok"}') == reads + len(ARMS)


def test_whom_the_arms_model_does_not_know_gets_its_shared_list(channel: grpc.Channel, models: Models) -> None:
    strangers = [f"stranger-{number}" for number in range(9)]
    firsts = {"control": item_id(0), "rival": item_id(LAST)}
    for name in strangers:
        assert items_of(ask(channel, name).slates[0])[0] == firsts[arm_of(SPLIT, name).arm]


def test_two_models_in_one_answer_show_no_item_twice_and_each_slate_names_its_own(
    channel: grpc.Channel, models: Models
) -> None:
    store(channel, tried(models.held.model_version, "aside"))
    answer = ask(channel, RIVAL, "aside", "tried")
    assert [items_of(slate) for slate in answer.slates] == [[item_id(11), item_id(2)], [item_id(0), item_id(1)]]
    assert answer.slates[0].exposure.generation == models.held.generation
    assert answer.served.generation == models.live.generation
    answer = ask(channel, RIVAL, "tried", "aside")
    assert [items_of(slate) for slate in answer.slates] == [[item_id(0), item_id(1)], [item_id(11), item_id(2)]]
    third = ask(channel, RIVAL, "tried", "aside", "default")
    assert len({item for slate in third.slates for item in items_of(slate)}) == sum(
        map(len, map(items_of, third.slates))
    )


def test_a_batch_holds_customers_of_every_arm(channel: grpc.Channel, models: Models) -> None:
    request = BatchRecommendOffersRequest(customer_ids=NAMES, placement="tried")
    answer = OfferServiceStub(channel).BatchRecommendOffers(request, timeout=10)
    for told in answer.customer_slates:
        assert told.slate.exposure.generation == models.of(ARMS[told.customer_id]).generation
        assert (items_of(told.slate)[0] == item_id(11)) == (ARMS[told.customer_id] == "rival")
    assert answer.served.generation == models.live.generation


def test_a_customer_of_several_ids_meets_one_model_under_all_of_them(channel: grpc.Channel, models: Models) -> None:
    other = next(name for name in NAMES if ARMS[name] == "control" and name > RIVAL)
    customers = CustomerServiceStub(channel)
    customers.LinkIdentities(LinkIdentitiesRequest(customer_id=RIVAL, alias_ids=[other]), timeout=10)
    for name in (RIVAL, other):
        slate = ask(channel, name).slates[0]
        assert (slate.exposure.arm, items_of(slate)[0]) == ("rival", item_id(11))
    customers.UnlinkIdentities(UnlinkIdentitiesRequest(customer_id=RIVAL), timeout=10)


def test_evidence_and_traces_follow_the_model_of_the_arm(channel: grpc.Channel, models: Models) -> None:
    event = event_pb2.Event(event_id="seen", customer_id=RIVAL, event_type="view", item_id=item_id(LAST))
    event.event_time.GetCurrentTime()
    EventServiceStub(channel).RecordEvents(RecordEventsRequest(events=[event]), timeout=10)
    answer = ask(channel, RIVAL, explain=True)
    # The served model does not even know the item.
    assert [share.item_id for share in answer.slates[0].offers[0].evidence_shares] == [item_id(LAST)]
    assert answer.slates[0].traces[0].rule == offer_service_pb2.TRACE_RULE_UNKNOWN
    assert (answer.served.generation, answer.served.degraded) == (models.held.generation, False)


def test_who_looks_a_customer_up_sees_the_slates_of_their_arm(channel: grpc.Channel, models: Models) -> None:
    request = GetCustomerRequest(customer_id=RIVAL, placements=["tried"])
    told = CustomerServiceStub(channel).GetCustomer(request, timeout=10)
    assert told.model_version == models.held.model_version
    assert (told.slates[0].exposure.arm, items_of(told.slates[0])) == ("rival", [item_id(11), item_id(2)])


def test_when_the_held_model_is_gone_the_served_one_answers_and_says_so(
    server: RunningServer, channel: grpc.Channel, models: Models
) -> None:
    ModelServiceStub(channel).ReleaseModel(ReleaseModelRequest(model_version=models.held.model_version), timeout=10)
    counted = metric(server, 'dangol_degraded_total{fallback="no-arm-model"}')
    answer = ask(channel, RIVAL)
    assert (answer.served.degraded, answer.served.fallback) == (True, offer_service_pb2.FALLBACK_NO_ARM_MODEL)
    exposure = answer.slates[0].exposure
    assert (exposure.arm, exposure.model_version) == ("rival", models.live.model_version)
    assert items_of(answer.slates[0]) == [item_id(0), item_id(1)]
    assert not ask(channel, CONTROL).served.degraded
    assert metric(server, 'dangol_degraded_total{fallback="no-arm-model"}') == counted + 1


def test_a_version_that_is_not_held_is_refused_and_nothing_is_stored(channel: grpc.Channel, models: Models) -> None:
    with pytest.raises(grpc.RpcError, match=r"experiments\[0\].arms\[1\].model_version: is not held") as refused:
        store(channel, tried("20990101-never", "tried"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (stored,) = CatalogServiceStub(channel).ListExperiments(ListExperimentsRequest(), timeout=10).experiments
    assert stored.arms[1].model_version == models.held.model_version
    store(channel, tried("20990101-never", "tried", ended=True))
