"""PushService: what to send to whom, handed out until its end is told."""

from collections.abc import Callable, Sequence
from time import time

from dangol.v1 import offer_service_pb2
from dangol.v1 import push_service_pb2 as messages
from models.errors import UnavailableError
from models.pushes import Push, PushState
from service.decision.query import Customer
from service.decision.snapshot import Snapshot
from service.handlers.caller import Caller, Context
from service.handlers.customer_reads import CustomerReads
from service.handlers.offer_messages import OfferMessages
from service.handlers.pages import DEFAULT_PAGE_SIZE, MAXIMAL_PAGE_SIZE
from service.handlers.personal import customer_of
from service.handlers.push_judge import Drop, PushJudge, Send, Verdict, Wait
from service.handlers.push_messages import acknowledgements_from, lease_from, leased_message, waiting_message
from service.handlers.snapshots import Snapshots
from service.handlers.telemetry import Telemetry
from service.handlers.validation import size_of_page
from service.store import keys
from service.store.push_store import Leased, PushStore, mark_of

_OUTCOMES = {
    messages.PUSH_OUTCOME_SENT: "sent",
    messages.PUSH_OUTCOME_RETURNED: "returned",
    messages.PUSH_OUTCOME_REFUSED: "refused",
}


class PushHandlers:
    """Answers PushService."""

    def __init__(
        self,
        store: PushStore,
        judge: PushJudge,
        snapshots: Snapshots,
        reads: CustomerReads,
        telemetry: Telemetry,
        write_timeout: float,
        now: Callable[[], float] = time,
    ) -> None:
        """``write_timeout`` in seconds bounds each step, ``now`` gives seconds since 1970, UTC."""
        self._store = store
        self._judge = judge
        self._snapshots = snapshots
        self._reads = reads
        self._telemetry = telemetry
        self._write_timeout = write_timeout
        self._now = now
        self._messages = OfferMessages()

    async def lease_pushes(
        self, caller: Caller, request: messages.LeasePushesRequest, context: Context
    ) -> messages.LeasePushesResponse:
        """Hand out what is due and still right. UnavailableError when Redis fails: what was leased comes again."""
        size, visibility = lease_from(request)
        snapshot = self._snapshots.current(caller.tenant)
        now = self._now()
        pushes: list[messages.LeasedPush] = []
        served: set[str] = set()
        while len(pushes) < size:
            share = max(1, (size - len(pushes)) // keys.SHARD_COUNT)
            budget = context.budget(self._write_timeout)
            leased = await self._store.lease(caller.tenant, now, now + visibility, share, budget)
            if not leased:
                break
            leased.sort(key=lambda one: -_priority(snapshot, one.push))
            customers = await self._read(caller, snapshot, leased, context)
            for one, customer in zip(leased, customers, strict=True):
                if len(pushes) == size or customer.customer_id in served:
                    await self._settle(caller, one, Wait(one.due_time if len(pushes) == size else now + visibility))
                    continue
                verdict = await self._judge.judge(caller, snapshot, one, customer, now + visibility, context)
                if isinstance(verdict, Send):
                    served.add(customer.customer_id)
                    pushes.append(self._message(snapshot, one, customer, verdict))
                await self._settle(caller, one, verdict)
        context.facts["pushes"] = len(pushes)
        return messages.LeasePushesResponse(pushes=pushes)

    async def acknowledge_pushes(
        self, caller: Caller, request: messages.AcknowledgePushesRequest, context: Context
    ) -> messages.AcknowledgePushesResponse:
        """Take what became of pushes. UnavailableError when not all of it was taken; the same again is safe."""
        given = acknowledgements_from(request)
        known = await self._store.find(
            caller.tenant, [one.push_id for one in given], context.budget(self._write_timeout)
        )
        taken = 0
        for one in given:
            push = known.get(one.push_id)
            if push is not None and await self._take(caller, push, one, context):
                self._telemetry.push(_OUTCOMES[one.outcome])
                taken += 1
        context.facts["pushes"] = taken
        return messages.AcknowledgePushesResponse(acknowledged_count=taken, unknown_count=len(given) - taken)

    async def list_pushes(
        self, caller: Caller, request: messages.ListPushesRequest, context: Context
    ) -> messages.ListPushesResponse:
        """List what waits. UnavailableError when Redis cannot be read."""
        size = size_of_page(request.page_size, DEFAULT_PAGE_SIZE, MAXIMAL_PAGE_SIZE)
        waiting, count = await self._store.waiting(caller.tenant, size, context.budget(self._write_timeout))
        context.facts["pushes"] = len(waiting)
        return messages.ListPushesResponse(pushes=map(waiting_message, waiting), waiting_count=count)

    async def _take(self, caller: Caller, push: Push, given: messages.PushAcknowledgement, context: Context) -> bool:
        now, budget = self._now(), context.budget(self._write_timeout)
        if given.outcome == messages.PUSH_OUTCOME_RETURNED:
            return await self._store.put_back(caller.tenant, Leased(push, given.lease, now), now, budget)
        if given.outcome == messages.PUSH_OUTCOME_SENT:
            # What was sent is sent, whoever has it leased now.
            return await self._store.end(caller.tenant, push, 0, mark_of(push, PushState.SENT, now), budget)
        mark = mark_of(push, PushState.DROPPED, now, "refused")
        return await self._store.end(caller.tenant, push, given.lease, mark, budget)

    async def _settle(self, caller: Caller, leased: Leased, verdict: Verdict) -> None:
        """Write down what became of a push that was looked at; one that is sent stays leased."""
        match verdict:
            case Send():
                self._telemetry.push("leased")
            case Wait(due_time):
                self._telemetry.push("waiting")
                await self._store.put_back(caller.tenant, leased, due_time, self._write_timeout)
            case Drop(reason):
                self._telemetry.push(f"dropped-{reason}")
                mark = mark_of(leased.push, PushState.DROPPED, self._now(), reason)
                await self._store.end(caller.tenant, leased.push, leased.lease, mark, self._write_timeout)

    async def _read(
        self, caller: Caller, snapshot: Snapshot, leased: Sequence[Leased], context: Context
    ) -> list[Customer]:
        customer_ids = list(dict.fromkeys(one.push.customer_id for one in leased))
        read = await self._reads.read(
            caller.tenant, snapshot.model.generation, customer_ids, context, with_records=True, with_counters=True
        )
        if read is None:
            raise UnavailableError("the customers cannot be read now")
        known = {
            customer_id: customer_of(customer_id, state)
            for customer_id, state in zip(customer_ids, read.customers, strict=True)
        }
        return [known[one.push.customer_id] for one in leased]

    def _message(self, snapshot: Snapshot, leased: Leased, customer: Customer, verdict: Send) -> messages.LeasedPush:
        placement = verdict.trigger.placement
        slate = self._messages.build(placement, [verdict.choice], snapshot.catalog, verdict.query)
        offer: offer_service_pb2.RankedOffer = slate.offers[0]
        return leased_message(leased, verdict, offer, customer.identity_ids)


def _priority(snapshot: Snapshot, push: Push) -> int:
    trigger = snapshot.catalog.triggers.get(push.trigger)
    return trigger.priority if trigger is not None else 0
