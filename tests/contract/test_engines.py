"""What every engine must do, whatever carries the bytes."""

import threading
import time
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from dangol.v1.catalog_service_pb2 import ListItemsRequest
from dangol.v1.catalog_service_pb2_grpc import CatalogServiceStub
from dangol.v1.event_service_pb2 import RecordEventsRequest
from dangol.v1.event_service_pb2_grpc import EventServiceStub
from dangol.v1.model_service_pb2 import GetServedModelRequest
from dangol.v1.model_service_pb2_grpc import ModelServiceStub
from dangol.v1.offer_service_pb2 import (
    BatchRecommendOffersRequest,
    ListSimilarItemsRequest,
    RankItemsRequest,
    RecommendOffersRequest,
)
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from service.handlers.contract import SERVICE_NAMES
from tests.server_fixtures import RunningServer

RECOMMEND = "/dangol.v1.OfferService/RecommendOffers"
ASK_ADA = RecommendOffersRequest(customer_id="ada", placements=["default"])


def status_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str, status_pb2.Status]:
    """Give the code, the message and the details of a failed call."""
    call = cast("grpc.Call", error)
    packed = [value for key, value in call.trailing_metadata() or () if key == "grpc-status-details-bin"]
    details = status_pb2.Status.FromString(cast("bytes", packed[0]) if packed else b"")
    return call.code(), call.details() or "", details


def raw(channel: grpc.Channel, path: str, request: bytes, **options: Any) -> bytes:  # noqa: ANN401 - grpc's options
    """Call a path with bytes, as no generated code would."""
    call: Any = channel.unary_unary(path)
    return bytes(call(request, timeout=10, **options))


def test_every_unary_service_answers(channel: grpc.Channel) -> None:
    offers = OfferServiceStub(channel)
    assert [offer.item_id for offer in offers.RecommendOffers(ASK_ADA, timeout=10).slates[0].offers][:2] == [
        "item-007",
        "item-003",
    ]
    batch = BatchRecommendOffersRequest(customer_ids=["ada", "eve"], placement="default")
    assert len(offers.BatchRecommendOffers(batch, timeout=10).customer_slates) == 2
    similar = offers.ListSimilarItems(ListSimilarItemsRequest(item_id="item-000"), timeout=10)
    assert [item.item_id for item in similar.items] == ["item-005"]
    ranked = offers.RankItems(RankItemsRequest(customer_id="ada", item_ids=["item-003", "item-007"]), timeout=10)
    assert [item.item_id for item in ranked.items] == ["item-007", "item-003"]
    assert CatalogServiceStub(channel).ListItems(ListItemsRequest(), timeout=10).next_page_token == ""
    served = ModelServiceStub(channel).GetServedModel(GetServedModelRequest(), timeout=10)
    assert served.generation.customer_count == 1
    assert not served.degraded


def test_an_error_carries_reason_domain_and_field(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        OfferServiceStub(channel).RecommendOffers(
            RecommendOffersRequest(customer_id="ada", placements=["A"]), timeout=10
        )
    code, message, status = status_of(caught.value)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.startswith("placements[0]: ")
    information, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(information)
    assert status.details[1].Unpack(violations)
    assert (information.reason, information.domain) == ("INVALID_INPUT", "dangol")
    assert violations.field_violations[0].field == "placements[0]"


def test_a_placement_that_does_not_exist_is_not_found(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        OfferServiceStub(channel).RecommendOffers(
            RecommendOffersRequest(customer_id="ada", placements=["nowhere"]), timeout=10
        )
    code, message, _ = status_of(caught.value)
    assert code is grpc.StatusCode.NOT_FOUND
    assert "nowhere" in message


@pytest.mark.parametrize(
    "path",
    [
        "/dangol.v1.OfferService/Nothing",
        "/dangol.v1.OfferService/recommendoffers",
        "//dangol.v1.OfferService/RecommendOffers",
        "/dangol.v1.OfferService/RecommendOffers/",
        "/dangol.v2.OfferService/RecommendOffers",
        "/x",
    ],
)
def test_only_exact_paths_are_served(channel: grpc.Channel, path: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        raw(channel, path, ASK_ADA.SerializeToString())
    assert status_of(caught.value)[0] is grpc.StatusCode.UNIMPLEMENTED


def test_bytes_that_are_no_message_are_an_invalid_argument(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        raw(channel, RECOMMEND, b"\xff\xff\xff")
    code, _, status = status_of(caught.value)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert b"MALFORMED_REQUEST" in status.details[0].value


def test_text_that_is_no_utf8_is_an_invalid_argument(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        raw(channel, RECOMMEND, b"\x0a\x01\xff")
    assert status_of(caught.value)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_a_request_above_the_limit_is_refused(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        raw(channel, RECOMMEND, b"\x0a\x81\x80\x04" + b"x" * (64 * 1024 + 1))
    assert status_of(caught.value)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata_of_any_kind_does_no_harm(channel: grpc.Channel) -> None:
    metadata = (("x-text", "a"), ("x-bytes-bin", b"\x00\xff"))
    assert raw(channel, RECOMMEND, ASK_ADA.SerializeToString(), metadata=metadata)


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_taken(channel: grpc.Channel, compression: grpc.Compression) -> None:
    request = RecommendOffersRequest(
        customer_id="ada", placements=["default"], excluded_item_ids=["x" * 100 for _ in range(100)]
    )
    assert raw(channel, RECOMMEND, request.SerializeToString(), compression=compression)


def test_a_deadline_that_has_passed_ends_the_call(channel: grpc.Channel) -> None:
    customer_ids = [f"customer-{number}" for number in range(1000)]
    batch = BatchRecommendOffersRequest(customer_ids=customer_ids, placement="default", page_size=20, explain=True)
    with pytest.raises(grpc.RpcError) as caught:
        OfferServiceStub(channel).BatchRecommendOffers(batch, timeout=0.005)
    assert status_of(caught.value)[0] is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_cancelled_call_leaves_the_server_answering(channel: grpc.Channel) -> None:
    offers = OfferServiceStub(channel)
    batch = BatchRecommendOffersRequest(customer_ids=[f"c{number}" for number in range(1000)], placement="default")
    call = offers.BatchRecommendOffers.future(batch, timeout=10)
    call.cancel()
    assert call.cancelled()
    assert offers.RecommendOffers(ASK_ADA, timeout=10).slates


def test_the_empty_batch_of_events_is_refused_by_field(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError, match="events: holds 0"):
        EventServiceStub(channel).RecordEvents(RecordEventsRequest(), timeout=10)


@pytest.mark.parametrize("service", ["", *SERVICE_NAMES])
def test_health_is_told_overall_and_per_service(channel: grpc.Channel, service: str) -> None:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_of_a_service_that_does_not_exist_is_not_found(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
    assert status_of(caught.value)[0] is grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
    assert next(iter(watch)).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_health_can_be_watched(channel: grpc.Channel) -> None:
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=10)
    assert next(iter(watch)).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_reflection_names_every_service_and_describes_one(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="dangol.v1.OfferService"),
    ]
    listed, described = stub.ServerReflectionInfo(iter(questions), timeout=10)
    names = {service.name for service in listed.list_services_response.service}
    assert names >= {*SERVICE_NAMES, "grpc.health.v1.Health"}
    assert described.file_descriptor_response.file_descriptor_proto


def test_many_callers_at_once_each_get_their_own_answer(server: RunningServer) -> None:
    wrong: list[str] = []

    def ask(number: int) -> None:
        items = [f"item-{(number + step) % 20:03d}" for step in range(3)]
        with server.channel() as channel:
            for _ in range(20):
                answer = OfferServiceStub(channel).RankItems(
                    RankItemsRequest(customer_id=f"c{number}", item_ids=items), timeout=20
                )
                if sorted(item.item_id for item in answer.items) != sorted(items):
                    wrong.append(str(answer))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_every_call_is_one_log_line_without_the_ids_in_it(server: RunningServer, channel: grpc.Channel) -> None:
    answer = OfferServiceStub(channel).RecommendOffers(
        RecommendOffersRequest(customer_id="a-most-secret-name", placements=["default"]), timeout=10
    )
    # Lines are gathered for a moment before they are written.
    while not (lines := [line for line in server.log_lines() if line.get("request_id") == answer.served.request_id]):
        time.sleep(0.01)
    (line,) = lines
    assert (line["method"], line["status"]) == (RECOMMEND, "OK")
    assert line["customer"]
    assert "a-most-secret-name" not in server.log.read_text()
