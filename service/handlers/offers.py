"""OfferService: which offers to show, and why."""

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from dangol.v1 import offer_service_pb2
from models.errors import InvalidInputError, UnavailableError
from models.experiments import marked
from service.decision.experiments import treat
from service.decision.page import fill_page, is_page
from service.decision.query import Customer, Query, SlateQuery
from service.decision.ranking import rank_items, similar_items
from service.decision.slate import Choice, decide
from service.decision.snapshot import Snapshot
from service.decision.traces import trace_offers
from service.handlers.caller import Caller, Context
from service.handlers.caps import Caps, without_uncounted
from service.handlers.catalog_messages import placement_message
from service.handlers.customer_reads import CustomerReads
from service.handlers.evidence import Evidence, Shares, add_shares
from service.handlers.exposures import Exposures
from service.handlers.offer_messages import OfferMessages, exposure_message, ranked_items, trace_messages
from service.handlers.personal import personal_query
from service.handlers.placement_messages import preview_from, preview_query
from service.handlers.queries import RecommendQueries, batch_query, items_to_rank
from service.handlers.readings import Readings, lack_of
from service.handlers.reservations import Reservations
from service.handlers.snapshots import Snapshots
from service.handlers.validation import check, id_problem, size_of_page
from service.handlers.wire import embedded, embedded_tag
from service.store.generation_record import GenerationRecord

_DEFAULT_SIMILAR = 10
_CUSTOMERS_PER_TURN = 16  # of a batch, before other calls get their turn: about a millisecond

_FALLBACK_NAMES = {
    offer_service_pb2.FALLBACK_SHARED_LIST: "shared-list",
    offer_service_pb2.FALLBACK_LAST_SNAPSHOT: "last-snapshot",
    offer_service_pb2.FALLBACK_NO_BUDGETS: "no-budgets",
    offer_service_pb2.FALLBACK_NO_CAPS: "no-caps",
    offer_service_pb2.FALLBACK_NO_SHARES: "no-shares",
    offer_service_pb2.FALLBACK_NO_ARM_MODEL: "no-arm-model",
}
_LOST = (
    offer_service_pb2.FALLBACK_SHARED_LIST,
    offer_service_pb2.FALLBACK_NO_BUDGETS,
    offer_service_pb2.FALLBACK_NO_CAPS,
)
"""Say that Redis did not answer once already, so that it is not asked again."""

OffersRequest = offer_service_pb2.RecommendOffersRequest | offer_service_pb2.BatchRecommendOffersRequest

_RESPONSE = offer_service_pb2.RecommendOffersResponse.DESCRIPTOR
_SLATES, _SERVED = embedded_tag(_RESPONSE, "slates"), embedded_tag(_RESPONSE, "served")
_BATCH = offer_service_pb2.BatchRecommendOffersResponse.DESCRIPTOR
_CUSTOMER_SLATES, _BATCH_SERVED = embedded_tag(_BATCH, "customer_slates"), embedded_tag(_BATCH, "served")
_STREAM_BATCH = embedded_tag(offer_service_pb2.StreamRecommendOffersResponse.DESCRIPTOR, "batch")
_SLATE_EXPOSURE = embedded_tag(offer_service_pb2.Slate.DESCRIPTOR, "exposure")
_CUSTOMER = offer_service_pb2.CustomerSlate.DESCRIPTOR
_CUSTOMER_ID, _CUSTOMER_SLATE = embedded_tag(_CUSTOMER, "customer_id"), embedded_tag(_CUSTOMER, "slate")


class OfferHandlers:
    """Answers OfferService."""

    def __init__(
        self,
        snapshots: Snapshots,
        reads: CustomerReads,
        reservations: Reservations,
        caps: Caps,
        exposures: Exposures,
        evidence: Evidence,
        sample: Callable[[str, int, int], Awaitable[list[str]]],
        now: Callable[[], float] = time.time,
    ) -> None:
        """``sample`` gives so many customers of a tenant's generation, ``now`` seconds since 1970, UTC."""
        self._snapshots = snapshots
        self._readings = Readings(snapshots, reads)
        self._reservations = reservations
        self._caps = caps
        self._exposures = exposures
        self._evidence = evidence
        self._sample = sample
        self._now = now
        self._messages = OfferMessages()
        self._queries = RecommendQueries()
        self._request_prefix = secrets.token_hex(6)
        self._request_numbers = itertools.count(1)

    async def recommend_offers(
        self, caller: Caller, request: offer_service_pb2.RecommendOffersRequest, context: Context
    ) -> offer_service_pb2.RecommendOffersResponse | bytes:
        """Rank offers for one customer. An answer is given even without Redis, and says so."""
        snapshot, record = self._snapshots.current(caller.tenant), self._snapshots.record(caller.tenant)
        request_id = self._next_request_id()
        customer_id = request.customer_id
        query = self._queries.read(request, snapshot, self._now(), request_id)
        context.customer_id = customer_id
        customers, fallback = await self._readings.read(caller, snapshot, [customer_id], context, query)
        query = self._personal(query, request, customers[0], fallback)
        page = self._page(snapshot, query, customers[0], fallback)
        if page is not None:
            served = self._served(snapshot, fallback, context, request_id)
            return embedded(_SLATES, page) + embedded(_SERVED, served.SerializeToString())
        if snapshot.experiments:
            query = treat(query, snapshot.experiments, customers[0].customer_id)
            fallback = fallback or lack_of(snapshot, query)
        slates, query, fallback = await self._decide(caller, snapshot, query, customers[0], fallback, context)
        if snapshot.experiments:
            request_id = self._expose(caller, customer_id, query, request_id)
        shares: Shares | None = {}
        if query.explain:
            shares = await self._shares(caller, snapshot, record, query, customers[0], slates)
            if shares is None:
                fallback = fallback or offer_service_pb2.FALLBACK_NO_SHARES
        served = self._served(
            snapshot.shared_by(slate.model_version for slate in query.slates), fallback, context, request_id
        )
        if query.explain or query.trace_offer_ids:
            explained = self._explained(snapshot, query, customers[0], slates)
            add_shares(explained, shares or {})
            return offer_service_pb2.RecommendOffersResponse(slates=explained, served=served)
        parts = [
            embedded(_SLATES, self._encode(asked, choices, snapshot, query))
            for asked, choices in zip(query.slates, slates, strict=True)
        ]
        return b"".join((*parts, embedded(_SERVED, served.SerializeToString())))

    def _explained(
        self, snapshot: Snapshot, query: Query, customer: Customer, slates: Sequence[Sequence[Choice]]
    ) -> list[offer_service_pb2.Slate]:
        """Write slates with every reason, and what became of the offers asked about."""
        explained = [
            self._messages.build_asked(asked, choices, snapshot, query)
            for asked, choices in zip(query.slates, slates, strict=True)
        ]
        if query.trace_offer_ids:
            for slate, traces in zip(explained, trace_offers(snapshot, query, customer, slates), strict=True):
                slate.traces.extend(trace_messages(traces))
        return explained

    async def batch_recommend_offers(
        self, caller: Caller, request: offer_service_pb2.BatchRecommendOffersRequest, context: Context
    ) -> bytes:
        """Rank offers for many customers, giving other calls their turn now and then."""
        snapshot = self._snapshots.current(caller.tenant)
        request_id = base_id = self._next_request_id()
        query = batch_query(request, snapshot, self._now(), request_id)
        context.facts["customers"] = len(request.customer_ids)
        customers, fallback = await self._readings.read(caller, snapshot, request.customer_ids, context, query)
        parts = []
        filled = []
        for number, (customer_id, customer) in enumerate(zip(request.customer_ids, customers, strict=True), start=1):
            own = self._personal(query, request, customer, fallback)
            slate, version = self._page(snapshot, own, customer, fallback), ""
            if slate is None:
                if snapshot.experiments:
                    own = treat(own, snapshot.experiments, customer.customer_id)
                    fallback = fallback or lack_of(snapshot, own)
                slates, own, fallback = await self._decide(caller, snapshot, own, customer, fallback, context)
                slate, version = self._encode(own.slates[0], slates[0], snapshot, own), own.slates[0].model_version
                if own.slates[0].treatment is not None:
                    request_id = self._expose(caller, customer_id, own, base_id)
            filled.append(version)
            parts.append(embedded(_CUSTOMER_SLATES, _customer_slate(customer_id, slate)))
            if number % _CUSTOMERS_PER_TURN == 0:
                await asyncio.sleep(0)
                context.budget(1.0)
        served = self._served(snapshot.shared_by(filled), fallback, context, request_id)
        return b"".join((*parts, embedded(_BATCH_SERVED, served.SerializeToString())))

    async def stream_recommend_offers(
        self, caller: Caller, requests: AsyncIterator[offer_service_pb2.StreamRecommendOffersRequest], context: Context
    ) -> AsyncIterator[bytes]:
        """Rank offers for batch after batch; only one of them is held in memory."""
        total = 0
        async for request in requests:
            try:
                answer = await self.batch_recommend_offers(caller, request.batch, context)
            except InvalidInputError as error:
                raise InvalidInputError(f"batch.{error.field}", error.problem) from None
            total += len(request.batch.customer_ids)
            context.facts["customers"] = total
            yield embedded(_STREAM_BATCH, answer)

    def _page(
        self, snapshot: Snapshot, query: Query, customer: Customer, fallback: offer_service_pb2.Fallback.ValueType
    ) -> bytes | None:
        """Encode the slate of the commonest question; None where it takes more than a customer's own list."""
        offers = snapshot.offers
        if fallback or snapshot.experiments or offers.budgets or offers.decision_capped or not is_page(query):
            return None
        if offers.caps:
            query = self._caps.completed(snapshot, query, is_lost=False)
        places = fill_page(snapshot, query, customer)
        if places is None:
            return None
        return self._messages.encode(query.slates[0].placement.placement, places, snapshot.catalog, query)

    def _encode(self, asked: SlateQuery, choices: Sequence[Choice], snapshot: Snapshot, query: Query) -> bytes:
        treatment, is_explored = asked.treatment, asked.placement.policy.exploration is not None
        if query.explain or is_explored or (treatment is not None and treatment.rivals):
            return self._messages.build_asked(asked, choices, snapshot, query).SerializeToString()
        places = [(choice.pairing, choice.score, choice.reasons) for choice in choices]
        encoded = self._messages.encode(asked.placement.placement, places, snapshot.catalog, query)
        if treatment is None:
            return encoded
        exposure = exposure_message(treatment, snapshot.under(asked.model_version).model)
        return encoded + embedded(_SLATE_EXPOSURE, exposure.SerializeToString())

    async def _shares(
        self,
        caller: Caller,
        snapshot: Snapshot,
        record: GenerationRecord,
        query: Query,
        customer: Customer,
        slates: Sequence[Sequence[Choice]],
    ) -> Shares | None:
        """Share the scores of each slate out by the factors of its model; None when some of them cannot be read."""
        shares: dict[str, Sequence[tuple[str, float]]] = {}
        for asked, choices in zip(query.slates, slates, strict=True):
            under = snapshot.under(asked.model_version)
            known = record if under is snapshot else self._snapshots.held_record(under.model.generation)
            item_ids = [choice.item_id for choice in choices]
            if known is None:
                return None
            found = await self._evidence.shares(caller.tenant, known, under, customer, item_ids, query.now)
            if found is None:
                return None
            shares |= found
        return shares

    def _next_request_id(self) -> str:
        return f"{self._request_prefix}-{next(self._request_numbers):x}"

    def _expose(self, caller: Caller, customer_id: str, query: Query, request_id: str) -> str:
        """Note what experiments did to an answer, and give the request id that leads to them."""
        self._exposures.note(caller.tenant, customer_id, query, request_id)
        return marked(request_id, [slate.treatment.experiment_id for slate in query.slates if slate.treatment])

    async def preview_placements(
        self, caller: Caller, request: offer_service_pb2.PreviewPlacementsRequest, context: Context
    ) -> offer_service_pb2.PreviewPlacementsResponse:
        """Set beside each other what customers see and would see. UnavailableError when they cannot be read."""
        proposals, sample_size = preview_from(request)
        snapshot = self._snapshots.current(caller.tenant)
        customer_ids: Sequence[str] = request.customer_ids
        if not customer_ids:
            customer_ids = await self._sample(caller.tenant, snapshot.model.generation, sample_size)
        customers, fallback = await self._readings.read(caller, snapshot, customer_ids, context)
        if fallback == offer_service_pb2.FALLBACK_SHARED_LIST:
            raise UnavailableError("the customers cannot be read now")
        now = self._now()
        previews = []
        for customer_id, customer in zip(customer_ids, customers, strict=True):
            for proposed in proposals:
                slates = [
                    self._preview(snapshot, preview_query(placement, request.channel, now), customer)
                    for placement in (snapshot.placement(proposed.placement), proposed)
                    if placement is not None
                ]
                current = slates[0] if len(slates) == 2 else None
                preview = offer_service_pb2.PlacementPreview(
                    customer_id=customer_id, current=current, proposed=slates[-1]
                )
                previews.append(preview)
            await asyncio.sleep(0)
            context.budget(1.0)
        served = self._served(snapshot, fallback, context)
        stored = map(placement_message, proposals)
        return offer_service_pb2.PreviewPlacementsResponse(previews=previews, served=served, placements=stored)

    def _preview(self, snapshot: Snapshot, query: Query, customer: Customer) -> offer_service_pb2.Slate:
        """Decide as if budgets had units for everybody, and the request said nothing of the customer."""
        if customer.record is not None:
            query = personal_query(query, customer.record, time_zone="")
        query = self._caps.completed(snapshot, query, is_lost=False)
        (choices,) = decide(snapshot, query, customer)
        return self._messages.build(query.slates[0].placement.placement, choices, snapshot.catalog, query)

    async def list_similar_items(
        self, caller: Caller, request: offer_service_pb2.ListSimilarItemsRequest, context: Context
    ) -> offer_service_pb2.ListSimilarItemsResponse:
        """List what is most alike to an item; needs nothing of Redis."""
        check("item_id", id_problem(request.item_id))
        size = size_of_page(request.page_size, _DEFAULT_SIMILAR)
        snapshot = self._snapshots.current(caller.tenant)
        choices = similar_items(snapshot, request.item_id, size)
        return offer_service_pb2.ListSimilarItemsResponse(
            items=ranked_items(choices, snapshot.catalog),
            served=self._served(snapshot, offer_service_pb2.FALLBACK_UNSPECIFIED, context),
        )

    async def rank_items(
        self, caller: Caller, request: offer_service_pb2.RankItemsRequest, context: Context
    ) -> offer_service_pb2.RankItemsResponse:
        """Rank the caller's own items for a customer."""
        item_ids = items_to_rank(request)
        snapshot = self._snapshots.current(caller.tenant)
        context.customer_id = request.customer_id
        customers, fallback = await self._readings.read(caller, snapshot, [request.customer_id], context)
        choices = rank_items(snapshot, customers[0], item_ids, request.segment)
        return offer_service_pb2.RankItemsResponse(
            items=ranked_items(choices, snapshot.catalog), served=self._served(snapshot, fallback, context)
        )

    def _personal(
        self, query: Query, request: OffersRequest, customer: Customer, fallback: offer_service_pb2.Fallback.ValueType
    ) -> Query:
        """Let what the shop stored of the customer count, or guard what cannot be read."""
        if customer.record is not None:
            return personal_query(query, customer.record, time_zone=request.time_zone)
        is_lost = fallback == offer_service_pb2.FALLBACK_SHARED_LIST and self._snapshots.keeps_records
        return query._replace(consent_categories=frozenset()) if is_lost else query

    async def _decide(
        self,
        caller: Caller,
        snapshot: Snapshot,
        query: Query,
        customer: Customer,
        fallback: offer_service_pb2.Fallback.ValueType,
        context: Context,
    ) -> tuple[list[list[Choice]], Query, offer_service_pb2.Fallback.ValueType]:
        """Give slates that keep budgets and caps, the query that they answer, and the fallback of the whole answer."""
        if not snapshot.offers.budgets and not snapshot.offers.caps:
            return decide(snapshot, query, customer), query, fallback
        is_lost = fallback in _LOST
        query = self._caps.completed(snapshot, query, is_lost=is_lost)
        slates, query, asked = await self._reservations.decide(
            caller, snapshot, query, customer, context, is_lost=is_lost
        )
        fallback = fallback if asked else fallback or offer_service_pb2.FALLBACK_NO_BUDGETS
        if is_lost or await self._caps.count(caller, snapshot, query, customer, slates, context):
            return slates, query, fallback
        query = without_uncounted(snapshot, query, slates)
        return decide(snapshot, query, customer), query, fallback or offer_service_pb2.FALLBACK_NO_CAPS

    def _served(
        self,
        snapshot: Snapshot,
        fallback: offer_service_pb2.Fallback.ValueType,
        context: Context,
        request_id: str = "",
    ) -> offer_service_pb2.Served:
        """Say what served an answer, to the caller and to the log."""
        served = offer_service_pb2.Served(
            request_id=request_id or self._next_request_id(),
            model_version=snapshot.model.model_version,
            generation=snapshot.model.generation,
        )
        context.facts["request_id"] = served.request_id
        context.facts["generation"] = snapshot.model.generation
        if fallback:
            served.degraded = True
            served.fallback = fallback
            context.facts["fallback"] = _FALLBACK_NAMES[fallback]
        return served


def _customer_slate(customer_id: str, slate: bytes) -> bytes:
    return embedded(_CUSTOMER_ID, customer_id.encode()) + embedded(_CUSTOMER_SLATE, slate)
