import asyncio
import itertools
from collections.abc import Iterator

import grpc
import pytest

from dangol.client import AsyncClient, Client, InvalidRequestError
from dangol.client.streams import BATCH_SIZE
from dangol.v1.offer_service_pb2 import (
    BatchRecommendOffersRequest,
    BatchRecommendOffersResponse,
    StreamRecommendOffersRequest,
)
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from tests.server_fixtures import RunningServer

CUSTOMERS = ["ada", *(f"customer-{number}" for number in range(2 * BATCH_SIZE))]


def batch(*customer_ids: str) -> BatchRecommendOffersRequest:
    return BatchRecommendOffersRequest(customer_ids=customer_ids, placement="default")


def unlike(answer: BatchRecommendOffersResponse) -> BatchRecommendOffersResponse:
    """Take away what differs in every answer."""
    answer.served.request_id = ""
    return answer


def test_each_batch_of_a_stream_is_answered_as_if_it_came_alone(channel: grpc.Channel) -> None:
    offers = OfferServiceStub(channel)
    batches = [batch("ada", "eve"), batch("bob"), batch("ada")]
    streamed = offers.StreamRecommendOffers(
        iter([StreamRecommendOffersRequest(batch=one) for one in batches]), timeout=30
    )
    alone = [offers.BatchRecommendOffers(one, timeout=30) for one in batches]
    assert [unlike(answer.batch) for answer in streamed] == [unlike(answer) for answer in alone]


def test_what_was_answered_before_a_bad_batch_stands_and_the_field_is_named(channel: grpc.Channel) -> None:
    requests = [StreamRecommendOffersRequest(batch=one) for one in (batch("ada"), batch("ada", ""), batch("bob"))]
    answers = OfferServiceStub(channel).StreamRecommendOffers(iter(requests), timeout=30)
    assert len(next(answers).batch.customer_slates) == 1
    with pytest.raises(grpc.RpcError, match=r"batch\.customer_ids\[1\]"):
        next(answers)


def test_the_clients_stream_any_number_of_customers_in_their_order(server: RunningServer) -> None:
    with Client(server.address) as client:
        slates = client.stream_recommend_offers(iter(CUSTOMERS), "default")
        assert [slate.customer_id for slate in slates] == CUSTOMERS

    async def ask() -> list[str]:
        async with AsyncClient(server.address) as client:
            return [slate.customer_id async for slate in client.stream_recommend_offers(CUSTOMERS, "default")]

    assert asyncio.run(ask()) == CUSTOMERS


def test_a_stream_without_customers_is_empty(server: RunningServer) -> None:
    with Client(server.address) as client:
        assert list(client.stream_recommend_offers([], "default")) == []


def test_the_client_reads_the_customers_only_a_little_ahead(server: RunningServer) -> None:
    taken = itertools.count()

    def endless() -> Iterator[str]:
        for number in taken:
            yield f"customer-{number}"

    with Client(server.address) as client:
        slates = client.stream_recommend_offers(endless(), "default")
        assert next(slates).customer_id == "customer-0"
        assert next(taken) <= 5 * BATCH_SIZE


def test_an_error_of_a_stream_is_one_of_the_clients_errors(server: RunningServer) -> None:
    with Client(server.address) as client, pytest.raises(InvalidRequestError, match=r"batch\.placement"):
        list(client.stream_recommend_offers(["ada"], "Not Kebab"))
