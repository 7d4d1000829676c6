"""Everything that is known of one customer, for whoever talks to them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dangol.v1 import customer_service_pb2 as messages
from dangol.v1 import offer_service_pb2
from models.candidates import CandidateList
from models.catalog import Catalog
from models.customers import CustomerRecord
from models.errors import UnavailableError
from models.outlook import Outlook, unpack_outlook
from models.profile import MAXIMAL_PROFILE_EVENTS, ProfileEvent
from service.decision.experiments import treat
from service.decision.query import Customer
from service.decision.slate import decide
from service.decision.snapshot import Snapshot
from service.handlers.caller import Caller, Context
from service.handlers.customer_messages import customer_message
from service.handlers.customer_reads import CustomerReads
from service.handlers.offer_messages import OfferMessages
from service.handlers.personal import customer_of, personal_query
from service.handlers.push_messages import mark_message
from service.handlers.queries import recommend_query
from service.handlers.snapshots import Snapshots
from service.handlers.validation import check, id_problem, size_of_page
from service.store.push_store import PushStore

_DEFAULT_EVENTS = 20
_PUSHES = 20


class CustomerViews:
    """Puts together what is known of a customer."""

    def __init__(
        self,
        snapshots: Snapshots,
        reads: CustomerReads,
        pushes: PushStore,
        timeout: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``timeout`` in seconds bounds the reading of pushes, ``now`` gives seconds since 1970, UTC."""
        self._snapshots = snapshots
        self._reads = reads
        self._pushes = pushes
        self._timeout = timeout
        self._now = now
        self._messages = OfferMessages()

    async def view(
        self, caller: Caller, request: messages.GetCustomerRequest, context: Context
    ) -> messages.GetCustomerResponse:
        """Tell what is known; UnavailableError when Redis cannot be read."""
        check("customer_id", id_problem(request.customer_id))
        size = size_of_page(request.page_size, _DEFAULT_EVENTS, MAXIMAL_PROFILE_EVENTS)
        context.customer_id = request.customer_id
        read = await self._reads.read(
            caller.tenant, self._snapshots.generation, [request.customer_id], context, with_records=True
        )
        if read is None:
            raise UnavailableError("Redis cannot be read now")
        customer = customer_of(request.customer_id, read.customers[0])
        record = customer.record or CustomerRecord(request.customer_id)
        response = messages.GetCustomerResponse(
            customer=customer_message(replace(record, customer_id=request.customer_id)),
            identity_ids=customer.identity_ids,
            recent_events=_events(customer.profile.events[:size], self._snapshots.catalog(caller.tenant)),
        )
        if customer.candidates is not None:
            trained_until = self._snapshots.record(caller.tenant).last_event_time
            _add_outlook(unpack_outlook(customer.candidates.outlook), trained_until, response)
        names = customer.identity_ids or (request.customer_id,)
        marks = await self._pushes.marks(caller.tenant, names, context.budget(self._timeout))
        newest = sorted(marks.by_id.values(), key=lambda mark: mark.time, reverse=True)
        response.pushes.extend(map(mark_message, newest[:_PUSHES]))
        if request.placements:
            await self._add_slates(caller, request, customer, response, context)
        return response

    async def _add_slates(
        self,
        caller: Caller,
        request: messages.GetCustomerRequest,
        customer: Customer,
        response: messages.GetCustomerResponse,
        context: Context,
    ) -> None:
        """Decide as RecommendOffers would now, with every reason, and reserve nothing."""
        snapshot = self._snapshots.current(caller.tenant)
        asked = offer_service_pb2.RecommendOffersRequest(
            customer_id=request.customer_id, placements=request.placements, channel=request.channel, explain=True
        )
        query = recommend_query(asked, snapshot, self._now())
        if customer.record is not None:
            query = personal_query(query, customer.record, time_zone="")
        query = treat(query, snapshot.experiments, customer.customer_id)
        versions = {slate.model_version for slate in query.slates}
        named = versions & snapshot.held.keys()
        held = {version: await self._list_under(caller, snapshot, version, request, context) for version in named}
        slates = decide(snapshot, query, customer._replace(held=held))
        response.slates.extend(
            self._messages.build_asked(slate, choices, snapshot, query)
            for slate, choices in zip(query.slates, slates, strict=True)
        )
        response.model_version = snapshot.shared_by(versions).model.model_version

    async def _list_under(
        self,
        caller: Caller,
        snapshot: Snapshot,
        version: str,
        request: messages.GetCustomerRequest,
        context: Context,
    ) -> CandidateList | None:
        """Read the list of a customer in a generation that is held. UnavailableError when Redis cannot be read."""
        generation = snapshot.held[version].model.generation
        read = await self._reads.read(caller.tenant, generation, [request.customer_id], context, with_records=True)
        if read is None:
            raise UnavailableError("Redis cannot be read now")
        return read.customers[0].candidates


def _add_outlook(outlook: Outlook | None, trained_until: datetime | None, told: messages.GetCustomerResponse) -> None:
    if outlook is None:
        return
    told.outlook.segment = outlook.segment
    told.outlook.recency_score = outlook.recency
    told.outlook.frequency_score = outlook.frequency
    told.outlook.monetary_score = outlook.monetary
    told.outlook.churn_risk = outlook.churn_risk
    told.outlook.value = outlook.value
    if trained_until is not None:
        told.outlook.purchase_time.FromDatetime(trained_until + timedelta(days=outlook.purchase_days))


def _events(events: Sequence[ProfileEvent], catalog: Catalog) -> list[messages.RecentEvent]:
    return [_event_message(event, catalog) for event in events]


def _event_message(event: ProfileEvent, catalog: Catalog) -> messages.RecentEvent:
    item = catalog.items.get(event.item_id)
    message = messages.RecentEvent(
        event_type=event.event_type,
        item_id=event.item_id,
        item_title=item.title if item is not None else "",
        offer_id=event.offer_id,
    )
    message.event_time.FromDatetime(event.event_time)
    return message
