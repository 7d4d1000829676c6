import time

import grpc
import pytest

from dangol.client import (
    SERVICE_CONFIG,
    AsyncClient,
    Client,
    ClientError,
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    RefusedError,
    ServerUnavailableError,
)
from dangol.v1 import catalog_service_pb2, event_service_pb2, model_service_pb2, offer_service_pb2
from dangol.v1.catalog_pb2 import Item
from dangol.v1.catalog_service_pb2 import ListItemsRequest, ListItemsResponse
from dangol.v1.model_service_pb2 import Generation, RollBackModelResponse
from dangol.v1.offer_service_pb2 import RankedOffer, RecommendOffersRequest, RecommendOffersResponse, Slate
from tests.client.scripted import Script, message, refusal, rich_refusal, serving

SLATE = RecommendOffersResponse(slates=[Slate(placement="home-top", offers=[RankedOffer(rank=1, item_id="bread")])])
UNAVAILABLE = refusal(grpc.StatusCode.UNAVAILABLE)


def test_a_recommendation_sends_every_argument_and_gives_the_slates() -> None:
    script = Script([message(SLATE.SerializeToString())])
    with serving(script) as target, Client(target) as client:
        response = client.recommend_offers(
            "ann",
            ["home-top", "cart-side"],
            page_size=5,
            channel="web",
            context_item_ids=["milk"],
            excluded_item_ids=["eggs"],
            excluded_offer_ids=["week-1"],
            segment="new",
            explain=True,
        )
    assert response == SLATE
    [(method, request)] = script.asked
    assert method == "/dangol.v1.OfferService/RecommendOffers"
    assert RecommendOffersRequest.FromString(request) == RecommendOffersRequest(
        customer_id="ann",
        placements=["home-top", "cart-side"],
        page_size=5,
        channel="web",
        context_item_ids=["milk"],
        excluded_item_ids=["eggs"],
        excluded_offer_ids=["week-1"],
        segment="new",
        explain=True,
    )


def test_a_single_placement_may_be_given_as_it_is() -> None:
    script = Script([message(SLATE.SerializeToString())])
    with serving(script) as target, Client(target) as client:
        client.recommend_offers("ann", "home-top")
    assert RecommendOffersRequest.FromString(script.asked[0][1]).placements == ["home-top"]


def test_unavailable_is_tried_again_until_it_goes_well() -> None:
    script = Script([UNAVAILABLE, UNAVAILABLE, message(SLATE.SerializeToString())])
    with serving(script) as target, Client(target, timeout=10.0) as client:
        assert client.recommend_offers("ann", "home-top") == SLATE
    assert len(script.asked) == 3


def test_unavailable_is_tried_four_times_at_most() -> None:
    script = Script([UNAVAILABLE])
    with (
        serving(script) as target,
        Client(target, timeout=10.0) as client,
        pytest.raises(ServerUnavailableError),
    ):
        client.recommend_offers("ann", "home-top")
    assert len(script.asked) == SERVICE_CONFIG["methodConfig"][0]["retryPolicy"]["maxAttempts"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequestError),
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
        (grpc.StatusCode.FAILED_PRECONDITION, RefusedError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, RefusedError),
        (grpc.StatusCode.CANCELLED, RefusedError),
        (grpc.StatusCode.INTERNAL, ClientError),
    ],
)
def test_every_other_failure_is_not_tried_again(code: grpc.StatusCode, kind: type[ClientError]) -> None:
    script = Script([refusal(code)])
    with serving(script) as target, Client(target) as client, pytest.raises(kind) as caught:
        client.recommend_offers("ann", "home-top")
    assert caught.value.code is code
    assert len(script.asked) == 1


def test_a_roll_back_is_never_sent_twice() -> None:
    again = message(RollBackModelResponse(generation=Generation(generation=1)).SerializeToString())
    script = Script([UNAVAILABLE, again])
    with serving(script) as target, Client(target) as client, pytest.raises(ServerUnavailableError):
        client.roll_back_model()
    assert len(script.asked) == 1


def test_an_error_names_the_field_in_one_line() -> None:
    script = Script([rich_refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", {"page_size": "is\nnegative"})])
    with serving(script) as target, Client(target) as client, pytest.raises(InvalidRequestError) as caught:
        client.recommend_offers("ann", "home-top", page_size=-1)
    assert str(caught.value) == "page_size: is negative"
    assert caught.value.reason == "INVALID_INPUT"
    assert caught.value.violations == (FieldViolation("page_size", "is\nnegative"),)


def test_a_server_that_is_not_there_is_named() -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(ServerUnavailableError) as caught:
        client.get_served_model()
    assert str(caught.value) == "no Dangol server answers at 127.0.0.1:1 (Connection refused)"


def test_the_deadline_of_a_call_overrides_that_of_the_client() -> None:
    def late(request: bytes, context: grpc.ServicerContext) -> bytes:
        time.sleep(0.5)
        return SLATE.SerializeToString()

    with serving(Script([late])) as target, Client(target, timeout=30.0) as client:
        with pytest.raises(DeadlineExceededError) as caught:
            client.recommend_offers("ann", "home-top", timeout=0.05)
        assert str(caught.value) == f"the server at {target} did not answer in time"
        assert client.recommend_offers("ann", "home-top") == SLATE


def test_a_list_reads_page_after_page() -> None:
    pages = [
        ListItemsResponse(items=[Item(item_id="a"), Item(item_id="b")], next_page_token="b"),
        ListItemsResponse(items=[Item(item_id="c")]),
    ]
    script = Script([message(page.SerializeToString()) for page in pages])
    with serving(script) as target, Client(target) as client:
        assert [item.item_id for item in client.list_items(page_size=2)] == ["a", "b", "c"]
    assert [ListItemsRequest.FromString(request).page_token for _, request in script.asked] == ["", "b"]


async def test_the_asyncio_client_asks_retries_and_lists_alike() -> None:
    pages = [
        ListItemsResponse(items=[Item(item_id="a")], next_page_token="a"),
        ListItemsResponse(items=[Item(item_id="b")]),
    ]
    script = Script([UNAVAILABLE, message(SLATE.SerializeToString()), *(message(p.SerializeToString()) for p in pages)])
    with serving(script) as target:
        async with AsyncClient(target, timeout=10.0) as client:
            assert await client.recommend_offers("ann", "home-top") == SLATE
            assert [item.item_id async for item in client.list_items()] == ["a", "b"]
    assert len(script.asked) == 4


async def test_the_asyncio_client_raises_the_same_errors() -> None:
    script = Script([rich_refusal(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", {"placements[0]": "does not exist"})])
    with serving(script) as target:
        async with AsyncClient(target) as client:
            with pytest.raises(NotFoundError, match="placements\\[0\\]: does not exist"):
                await client.recommend_offers("ann", "nowhere")


def test_both_clients_offer_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)


def test_every_method_of_the_contract_has_a_method_of_the_client() -> None:
    modules = (catalog_service_pb2, event_service_pb2, model_service_pb2, offer_service_pb2)
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    for method in (method for service in services for method in service.methods):
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in method.name).lstrip("_")
        assert hasattr(Client, words), words
