"""The asyncio client."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from grpc_health.v1 import health_pb2

from dangol.client.aio_audiences import AsyncAudienceCalls
from dangol.client.aio_catalog import AsyncCatalogCalls
from dangol.client.aio_customers import AsyncCustomerCalls
from dangol.client.aio_pushes import AsyncPushCalls
from dangol.client.calls import HEALTH_METHOD
from dangol.client.streams import stream_requests, stream_slates_async
from dangol.v1.catalog_pb2 import Placement
from dangol.v1.event_pb2 import Event
from dangol.v1.event_service_pb2 import (
    RecordEventsRequest,
    RecordEventsResponse,
    StreamEventsRequest,
    StreamEventsResponse,
)
from dangol.v1.event_service_pb2_grpc import EventServiceStub
from dangol.v1.model_service_pb2 import (
    Generation,
    GetServedModelRequest,
    GetServedModelResponse,
    HoldModelRequest,
    ListGenerationsRequest,
    PromoteModelRequest,
    ReleaseModelRequest,
    RollBackModelRequest,
)
from dangol.v1.model_service_pb2_grpc import ModelServiceStub
from dangol.v1.offer_service_pb2 import (
    BatchRecommendOffersRequest,
    BatchRecommendOffersResponse,
    CustomerSlate,
    ListSimilarItemsRequest,
    ListSimilarItemsResponse,
    PreviewPlacementsRequest,
    PreviewPlacementsResponse,
    RankItemsRequest,
    RankItemsResponse,
    RecommendOffersRequest,
    RecommendOffersResponse,
)
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub

if TYPE_CHECKING:
    from dangol.v1.event_service_pb2_grpc import EventServiceAsyncStub
    from dangol.v1.model_service_pb2_grpc import ModelServiceAsyncStub
    from dangol.v1.offer_service_pb2_grpc import OfferServiceAsyncStub


class AsyncClient(AsyncCatalogCalls, AsyncCustomerCalls, AsyncAudienceCalls, AsyncPushCalls):
    """Speaks to a Dangol server from asyncio code; make it inside the event loop that uses it.

    ``target`` is ``host:port``, or any name that gRPC resolves, such as ``dns:///dangol.internal:7411``: calls are
    spread over all addresses it stands for. ``timeout`` and ``write_timeout`` are in seconds and span a call's
    retries; each method's own ``timeout`` overrides them. Close it, or use it as an asynchronous
    context manager. Every method may raise :class:`dangol.client.ClientError`.
    """

    @cached_property
    def _offers(self) -> "OfferServiceAsyncStub":
        return OfferServiceStub(self._channel)

    @cached_property
    def _events(self) -> "EventServiceAsyncStub":
        return EventServiceStub(self._channel)

    @cached_property
    def _models(self) -> "ModelServiceAsyncStub":
        return ModelServiceStub(self._channel)

    async def recommend_offers(
        self,
        customer_id: str,
        placements: str | Sequence[str],
        *,
        page_size: int = 0,
        channel: str = "",
        context_item_ids: Sequence[str] = (),
        excluded_item_ids: Sequence[str] = (),
        excluded_offer_ids: Sequence[str] = (),
        segment: str = "",
        explain: bool = False,
        time_zone: str = "",
        language: str = "",
        consent_categories: Sequence[str] = (),
        trace_offer_ids: Sequence[str] = (),
        timeout: float | None = None,
    ) -> RecommendOffersResponse:
        """Rank offers for a customer on one or several placements; one slate for each, in that order."""
        request = RecommendOffersRequest(
            customer_id=customer_id,
            placements=[placements] if isinstance(placements, str) else placements,
            page_size=page_size,
            channel=channel,
            context_item_ids=context_item_ids,
            excluded_item_ids=excluded_item_ids,
            excluded_offer_ids=excluded_offer_ids,
            segment=segment,
            explain=explain,
            time_zone=time_zone,
            language=language,
            consent_categories=consent_categories,
            trace_offer_ids=trace_offer_ids,
        )
        return await self._read(self._offers.RecommendOffers, request, timeout)

    async def batch_recommend_offers(
        self,
        customer_ids: Sequence[str],
        placement: str,
        *,
        page_size: int = 0,
        channel: str = "",
        excluded_item_ids: Sequence[str] = (),
        excluded_offer_ids: Sequence[str] = (),
        segment: str = "",
        explain: bool = False,
        time_zone: str = "",
        language: str = "",
        consent_categories: Sequence[str] = (),
        timeout: float | None = None,
    ) -> BatchRecommendOffersResponse:
        """Rank offers for up to 1,000 customers on one placement. Has the longer deadline of the writing calls."""
        request = BatchRecommendOffersRequest(
            customer_ids=customer_ids,
            placement=placement,
            page_size=page_size,
            channel=channel,
            excluded_item_ids=excluded_item_ids,
            excluded_offer_ids=excluded_offer_ids,
            segment=segment,
            explain=explain,
            time_zone=time_zone,
            language=language,
            consent_categories=consent_categories,
        )
        return await self._write(self._offers.BatchRecommendOffers, request, timeout)

    async def preview_placements(
        self,
        placements: Iterable[Placement],
        *,
        customer_ids: Sequence[str] = (),
        sample_size: int = 0,
        channel: str = "",
        timeout: float | None = None,
    ) -> PreviewPlacementsResponse:
        """Set what customers (some of them unless named) see beside what they would see; nothing is changed."""
        request = PreviewPlacementsRequest(
            placements=placements, customer_ids=customer_ids, sample_size=sample_size, channel=channel
        )
        return await self._write(self._offers.PreviewPlacements, request, timeout)

    def stream_recommend_offers(
        self,
        customer_ids: Iterable[str],
        placement: str,
        *,
        page_size: int = 0,
        channel: str = "",
        excluded_item_ids: Sequence[str] = (),
        excluded_offer_ids: Sequence[str] = (),
        segment: str = "",
        explain: bool = False,
        time_zone: str = "",
        language: str = "",
        consent_categories: Sequence[str] = (),
        timeout: float | None = None,
    ) -> AsyncIterator[CustomerSlate]:
        """Rank offers for any number of customers on one placement, in order, as fast as they are taken.

        The iterable may be longer than memory; it is read a few batches ahead. Without ``timeout`` there is no
        deadline.
        """
        terms = BatchRecommendOffersRequest(
            placement=placement,
            page_size=page_size,
            channel=channel,
            excluded_item_ids=excluded_item_ids,
            excluded_offer_ids=excluded_offer_ids,
            segment=segment,
            explain=explain,
            time_zone=time_zone,
            language=language,
            consent_categories=consent_categories,
        )
        requests = stream_requests(customer_ids, terms)
        return stream_slates_async(self._offers.StreamRecommendOffers, requests, timeout, self.target)

    async def list_similar_items(
        self, item_id: str, *, page_size: int = 0, timeout: float | None = None
    ) -> ListSimilarItemsResponse:
        """List the items most alike to one, best first; none when the model does not know it."""
        request = ListSimilarItemsRequest(item_id=item_id, page_size=page_size)
        return await self._read(self._offers.ListSimilarItems, request, timeout)

    async def rank_items(
        self, customer_id: str, item_ids: Sequence[str], *, segment: str = "", timeout: float | None = None
    ) -> RankItemsResponse:
        """Rank up to 1,000 items of your own for a customer; every one comes back once."""
        request = RankItemsRequest(customer_id=customer_id, item_ids=item_ids, segment=segment)
        return await self._read(self._offers.RankItems, request, timeout)

    async def record_events(self, events: Iterable[Event], *, timeout: float | None = None) -> RecordEventsResponse:
        """Record up to 1,000 events. What is acknowledged is stored; after an error send the same batch again."""
        return await self._write(self._events.RecordEvents, RecordEventsRequest(events=events), timeout)

    def stream_events(
        self, batches: AsyncIterable[Iterable[Event]], *, timeout: float | None = None
    ) -> AsyncIterator[StreamEventsResponse]:
        """Record batch after batch over one stream, and give an acknowledgement for each, in their order.

        Batches are taken only as fast as events can be stored. ``timeout`` spans the whole stream; without one it may
        go on for ever. After an error begin again with the first batch that was not acknowledged.
        """
        requests = (StreamEventsRequest(events=batch) async for batch in batches)
        return self._stream(self._events.StreamEvents, requests, timeout)

    async def get_served_model(self, *, timeout: float | None = None) -> GetServedModelResponse:
        """Tell which model and generation the server process that answers serves."""
        return await self._read(self._models.GetServedModel, GetServedModelRequest(), timeout)

    async def list_generations(self, *, timeout: float | None = None) -> list[Generation]:
        """List the generations in Redis, newest first."""
        response = await self._read(self._models.ListGenerations, ListGenerationsRequest(), timeout)
        return list(response.generations)

    async def promote_model(
        self, model_version: str, *, force: bool = False, timeout: float | None = None
    ) -> Generation:
        """Serve a version that is already published; ``force`` in spite of the gate."""
        request = PromoteModelRequest(model_version=model_version, force=force)
        return (await self._write(self._models.PromoteModel, request, timeout)).generation

    async def roll_back_model(self, *, timeout: float | None = None) -> Generation:
        """Serve again what was served before. Never sent twice: look at the served model after an error."""
        return (await self._write(self._models.RollBackModel, RollBackModelRequest(), timeout)).generation

    async def hold_model(self, model_version: str, *, timeout: float | None = None) -> Generation:
        """Keep a version that is already published, whatever is served: arms of experiments may name it then."""
        request = HoldModelRequest(model_version=model_version)
        return (await self._write(self._models.HoldModel, request, timeout)).generation

    async def release_model(self, model_version: str, *, timeout: float | None = None) -> Generation:
        """Let a version that is held expire, unless it is served."""
        request = ReleaseModelRequest(model_version=model_version)
        return (await self._write(self._models.ReleaseModel, request, timeout)).generation

    async def serving(self, service: str = "", *, timeout: float | None = None) -> bool:
        """Tell whether the server, or one service such as ``dangol.v1.OfferService``, says that it serves.

        ClientError when the server cannot be reached; NotFoundError for a service it does not have.
        """
        check = self._channel.unary_unary(
            HEALTH_METHOD,
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        response = await self._read(check, health_pb2.HealthCheckRequest(service=service), timeout)
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)
