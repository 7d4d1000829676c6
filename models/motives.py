"""What gives a trigger reason to push: a pure function of what is known of a customer, the catalogue and the time.

It makes pushes, and says later whether they are still right: a push stands as long as its key is among the motives.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from models.events import CART, CLICK, DISMISS, PURCHASE, REDEEM, SEARCH, VIEW
from models.offered_items import OfferedItems
from models.offers import Audience, Offer
from models.profile import ProfileEvent
from models.triggers import Trigger, TriggerKind

_INTEREST = frozenset((VIEW, SEARCH, CART))
_SEPARATOR = "\n"


@dataclass(frozen=True, slots=True)
class Motive:
    """Is one thing to push about. Times are seconds since 1970.

    ``time`` is when it happened; it is right from ``start`` to before ``end``.
    """

    key: str
    item_id: str
    offer_id: str
    time: float
    start: float
    end: float = inf

    def key_for(self, trigger: Trigger) -> str:
        """Give the key of a push for it."""
        return _SEPARATOR.join((trigger.trigger, self.key))


@dataclass(frozen=True, slots=True)
class Watched:
    """Is what motives are looked for in. ``events`` are a customer's, newest first; times are seconds since 1970.

    ``customer_ids`` are all ids of the customer; ``returns`` tells when items that the shop had lacked came back, and
    ``next_purchase`` when the customer is expected to buy again, None where nobody knows.
    """

    events: Sequence[ProfileEvent]
    customer_ids: Sequence[str]
    offered: OfferedItems
    audiences: Mapping[str, Audience] = field(default_factory=dict)
    returns: Mapping[str, float] = field(default_factory=dict)
    next_purchase: float | None = None


def motives_of(trigger: Trigger, watched: Watched, now: float, *, slack: float = 0.0) -> Iterator[Motive]:
    """Give the motives of a trigger at ``now``, what happened last first.

    ``slack`` lets events count so many seconds longer, for a push that waited meanwhile.
    """
    since = now - trigger.lookback - slack
    match trigger.kind:
        case TriggerKind.DISCOUNT:
            found = _discounts(trigger, watched, since, now)
        case TriggerKind.BACK_IN_STOCK:
            found = _returns(watched, since)
        case TriggerKind.ABANDONED_CART:
            found = _carts(watched, since)
        case TriggerKind.OFFER_ENDING:
            found = _endings(trigger, watched, since, now)
        case TriggerKind.NEXT_PURCHASE:
            found = _next_purchases(trigger, watched)
    for motive in found:
        if motive.start <= now < motive.end + (slack if trigger.kind is TriggerKind.NEXT_PURCHASE else 0.0):
            yield motive


def interests(events: Sequence[ProfileEvent], since: float) -> dict[str, float]:
    """Give the items that a customer looked at since then and neither bought nor dismissed afterwards, newest first."""
    settled: set[str] = set()
    found: dict[str, float] = {}
    for event in events:
        time = event.event_time.timestamp()
        if time < since:
            break
        if event.event_type in (PURCHASE, DISMISS):
            settled.add(event.item_id)
        elif event.event_type in _INTEREST and event.item_id and event.item_id not in settled:
            found.setdefault(event.item_id, time)
    return found


def _discounts(trigger: Trigger, watched: Watched, since: float, now: float) -> Iterator[Motive]:
    for item_id, time in interests(watched.events, since).items():
        for offer in watched.offered.on(item_id) if watched.offered.has(item_id) else ():
            if offer.discount is not None and _reaches(offer, trigger, watched, now):
                key = _SEPARATOR.join((item_id, offer.offer_id))
                yield Motive(key, item_id, offer.offer_id, time, max(time, _start_of(offer)), _end_of(offer))


def _returns(watched: Watched, since: float) -> Iterator[Motive]:
    for item_id, time in interests(watched.events, since).items():
        came_back = watched.returns.get(item_id)
        if came_back is not None and time < came_back and watched.offered.has(item_id):
            yield Motive(_SEPARATOR.join((item_id, repr(came_back))), item_id, "", came_back, came_back)


def _carts(watched: Watched, since: float) -> Iterator[Motive]:
    """Give what was put into the cart last, unless anything was bought since: then the cart was not abandoned."""
    dismissed = {event.item_id for event in watched.events if event.event_type == DISMISS}
    for event in watched.events:
        time = event.event_time.timestamp()
        if event.event_type == PURCHASE or time < since:
            return
        if event.event_type == CART and event.item_id:
            if event.item_id not in dismissed and watched.offered.has(event.item_id):
                yield Motive(_SEPARATOR.join((event.item_id, repr(time))), event.item_id, "", time, time)
            return


def _endings(trigger: Trigger, watched: Watched, since: float, now: float) -> Iterator[Motive]:
    seen: set[str] = set()
    for item_id, offer_id, time in _attention(watched, since):
        named = watched.offered.get(offer_id) if offer_id else None
        found = ((named,) if named is not None else ()) if offer_id else watched.offered.on(item_id)
        for offer in found:
            if offer.offer_id not in seen and offer.end_time is not None and _reaches(offer, trigger, watched, now):
                seen.add(offer.offer_id)
                end = offer.end_time.timestamp()
                key = _SEPARATOR.join((offer.offer_id, repr(end)))
                yield Motive(key, item_id, offer.offer_id, time, end - trigger.lead, end)


def _attention(watched: Watched, since: float) -> Iterator[tuple[str, str, float]]:
    """Give the offers that were clicked on and not redeemed, then the items of interest: item, offer, time."""
    redeemed: set[str] = set()
    for event in watched.events:
        time = event.event_time.timestamp()
        if time < since:
            break
        if event.event_type in (REDEEM, DISMISS):
            redeemed.add(event.offer_id)
        elif event.event_type == CLICK and event.offer_id and event.offer_id not in redeemed:
            yield "", event.offer_id, time
    for item_id, time in interests(watched.events, since).items():
        if watched.offered.has(item_id):
            yield item_id, "", time


def _next_purchases(trigger: Trigger, watched: Watched) -> Iterator[Motive]:
    last = next((event for event in watched.events if event.event_type == PURCHASE), None)
    if last is not None and watched.next_purchase is not None:
        time, due = last.event_time.timestamp(), watched.next_purchase
        yield Motive(repr(time), "", "", time, due - trigger.lead, due + trigger.lookback)


def _reaches(offer: Offer, trigger: Trigger, watched: Watched, now: float) -> bool:
    """Tell whether an offer is on, at the trigger's place, and for one of the audiences of the customer."""
    return (
        _start_of(offer) <= now < _end_of(offer)
        and (not offer.placements or trigger.placement in offer.placements)
        and (not offer.channels or trigger.channel in offer.channels)
        and (not offer.audience_ids or any(_belongs(watched, audience_id) for audience_id in offer.audience_ids))
    )


def _belongs(watched: Watched, audience_id: str) -> bool:
    audience = watched.audiences.get(audience_id)
    return audience is not None and not audience.customer_ids.isdisjoint(watched.customer_ids)


def _start_of(offer: Offer) -> float:
    return offer.start_time.timestamp() if offer.start_time is not None else -inf


def _end_of(offer: Offer) -> float:
    return offer.end_time.timestamp() if offer.end_time is not None else inf
