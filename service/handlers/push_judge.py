"""Whether a push that is due may still go out: looked at anew each time, whatever was right when it was made."""

from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Literal

from models.customers import CustomerRecord
from models.motives import Watched, motives_of
from models.offered_items import OfferedItems
from models.offers import Placement
from models.pushes import Push, PushState, push_id_of
from models.response_hours import SendHours
from models.triggers import Trigger, TriggerStatus
from service.decision.pushes import choose
from service.decision.query import Customer, Query, SlateQuery
from service.decision.reasons import FALLBACK
from service.decision.slate import Choice
from service.decision.snapshot import Snapshot
from service.handlers.caller import Caller, Context
from service.handlers.caps import Caps
from service.handlers.personal import personal_query
from service.handlers.reservations import Reservations
from service.store.push_marks import PushMarks
from service.store.push_store import Leased, PushStore

LATE_SECONDS = 3_600
"""A push that nobody leased for so long after it was due waits for the hour of the customer again."""
_LEAST_SECONDS = 5.0  # that a push system gets to send one
_TURN = 60.0

Reason = Literal["trigger", "expired", "consent", "repeated", "motive", "offer", "erased"]


@dataclass(frozen=True, slots=True)
class Send:
    """Lets a push go out until ``end_time``, seconds since 1970, showing ``choice`` as the query asked."""

    choice: Choice
    query: Query
    trigger: Trigger
    end_time: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Lets a push wait until then, seconds since 1970."""

    due_time: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Ends a push, and says why."""

    reason: Reason


Verdict = Send | Wait | Drop


class PushJudge:
    """Judges pushes. UnavailableError when Redis fails on the way; nothing but pauses and units are kept then."""

    def __init__(
        self,
        store: PushStore,
        reservations: Reservations,
        caps: Caps,
        timeout: float,
        now: Callable[[], float] = time,
    ) -> None:
        """``timeout`` in seconds bounds each question to Redis, ``now`` gives seconds since 1970."""
        self._store = store
        self._reservations = reservations
        self._caps = caps
        self._timeout = timeout
        self._now = now

    async def judge(
        self, caller: Caller, snapshot: Snapshot, leased: Leased, customer: Customer, until: float, context: Context
    ) -> Verdict:
        """Judge a push that is leased ``until`` then, of a customer who was read after that."""
        push, now = leased.push, self._now()
        trigger, record = snapshot.catalog.triggers.get(push.trigger), customer.record
        if trigger is None or trigger.status is not TriggerStatus.ACTIVE:
            return Drop("trigger")
        if record is None or trigger.consent_category not in record.consented(frozenset(), trigger.channel):
            return Drop("consent")
        if now >= push.expire_time or not _still_stands(snapshot, trigger, push, customer, now):
            return Drop("expired" if now >= push.expire_time else "motive")
        names = customer.identity_ids
        marks = await self._store.marks(caller.tenant, names, context.budget(self._timeout)) if names else PushMarks()
        if _is_repeated(marks, push, customer):
            return Drop("repeated")
        hours = _Hours.of(snapshot, trigger, push, customer, record)
        end = hours.end_of_sending(now, until)
        wanted = hours.wanted(now, end, until, late=now > leased.due_time + LATE_SECONDS)
        # What is granted below is granted to the first id; before they were linked, others had pauses of their own.
        free = marks.free_time(trigger, push.push_id)
        if max(wanted, free) > now:
            return Wait(wanted if free <= now else max(wanted, hours.next(free), now + _TURN))
        return await self._decide(caller, snapshot, trigger, push, customer, hours, end, context)

    async def _decide(
        self,
        caller: Caller,
        snapshot: Snapshot,
        trigger: Trigger,
        push: Push,
        customer: Customer,
        hours: "_Hours",
        end: float,
        context: Context,
    ) -> Verdict:
        now = self._now()
        placement = _placement(snapshot, trigger)
        query = Query([SlateQuery(placement, 1)], now, trigger.channel, seed=push.push_id)
        if customer.record is not None:
            query = personal_query(query, customer.record, time_zone="")
        query = self._caps.completed(snapshot, query, is_lost=False)
        choice = await self._choice(caller, snapshot, query, customer, push, context)
        if choice is None:
            return Drop("offer")
        free = await self._store.grant(
            caller.tenant, push, trigger, customer.customer_id, now, context.budget(self._timeout)
        )
        if free:
            return Drop("erased") if free < 0 else Wait(max(hours.next(float(free)), now + _TURN))
        if not await self._caps.count(caller, snapshot, query, customer, [[choice]], context):
            return Wait(now + _TURN)
        offer_end = choice.offer.end_time if choice.offer is not None else None
        return Send(choice, query, trigger, end if offer_end is None else min(end, offer_end.timestamp()))

    async def _choice(
        self, caller: Caller, snapshot: Snapshot, query: Query, customer: Customer, push: Push, context: Context
    ) -> Choice | None:
        if push.item_id or push.offer_id:
            choice = choose(snapshot, query, customer, push)
            offer = choice.offer if choice is not None else None
            held = offer is None or await self._reservations.hold(caller, customer, offer.offer_id, context)
            return choice if held else None
        slates, _, _ = await self._reservations.decide(caller, snapshot, query, customer, context, is_lost=False)
        return next((choice for choice in slates[0] if choice.reasons != FALLBACK), None)


@dataclass(frozen=True, slots=True)
class _Hours:
    """Knows when a push may go out, by the customer's clock."""

    hours: SendHours
    expire_time: float

    @classmethod
    def of(
        cls, snapshot: Snapshot, trigger: Trigger, push: Push, customer: Customer, record: CustomerRecord
    ) -> "_Hours":
        quiet = _placement(snapshot, trigger).quiet_hours
        hours = SendHours.of(push.customer_id, customer.profile.events, record, quiet, trigger)
        return cls(hours, push.expire_time)

    def end_of_sending(self, now: float, until: float) -> float:
        """Give until when it may go out from ``now`` on."""
        return self.hours.quiet_begin(now, min(until, self.expire_time))

    def wanted(self, now: float, end: float, until: float, *, late: bool) -> float:
        """Give when it is to go out: ``now``, or later where it is or gets quiet, or its hour is long over."""
        if end < min(now + _LEAST_SECONDS, until):
            return max(self.next(end), now + 1)
        return self.next(now) if late else now

    def next(self, earliest: float) -> float:
        """Give when it is to go out, from then on."""
        return self.hours.send_time(earliest, self.expire_time)


def _placement(snapshot: Snapshot, trigger: Trigger) -> Placement:
    return snapshot.placement(trigger.placement) or Placement(trigger.placement)


def _still_stands(snapshot: Snapshot, trigger: Trigger, push: Push, customer: Customer, now: float) -> bool:
    """Tell whether there still is the motive for a push, by what the customer did and the catalogue says now."""
    offer = snapshot.catalog.offers.get(push.offer_id)
    watched = Watched(
        customer.profile.events,
        customer.identity_ids or (customer.customer_id,),
        OfferedItems([] if offer is None else [offer], snapshot.catalog.items),
        snapshot.catalog.audiences,
        {push.item_id: push.motive_time},
        now,
    )
    slack = trigger.delay + trigger.lifetime
    return any(motive.key_for(trigger) == push.key for motive in motives_of(trigger, watched, now, slack=float(slack)))


def _is_repeated(marks: PushMarks, push: Push, customer: Customer) -> bool:
    """Tell whether another id of the customer has a push for the same key that was sent, or goes before."""
    for name in customer.identity_ids:
        mark = marks.by_id.get(push_id_of(name, push.key))
        if name != push.customer_id and mark is not None:
            goes_before = mark.state is PushState.WAITING and name < push.customer_id
            if mark.state is PushState.SENT or goes_before:
                return True
    return False
