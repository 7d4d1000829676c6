"""What may stand in a slate, told offer by offer from the terms as they are written: decisions are held against it."""

from collections.abc import Callable
from datetime import timedelta

from models.candidates import BOUGHT_FLAG
from models.catalog import Catalog
from models.offers import Item, Offer, OfferStatus, Rebuys
from models.profile import ProfileEvent
from models.terms import Cap, CapPeriod, CapScope
from service.decision.query import Customer, Query, SlateQuery
from service.decision.slate import Choice
from tests.decision.samples import NOW
from tests.models_fixtures import LAST_EVENT_TIME, item_id

BUCKETS = {
    CapPeriod.HOUR: "hour-2025-07-15T12",
    CapPeriod.DAY: "day-2025-07-15",
    CapPeriod.WEEK: "week-2025-29",
    CapPeriod.MONTH: "month-2025-07",
    CapPeriod.EVER: "ever",
}
CONDITIONS: dict[str, Callable[[Item | None, Query, SlateQuery, Customer], bool]] = {
    "item.price >= 500": lambda item, _query, _asked, _who: _price(item) >= 500,
    "customer.known": lambda _item, _query, _asked, who: who.candidates is not None,
    'request.placement == "home-top"': lambda _item, _query, asked, _who: asked.placement.placement == "home-top",
    'request.channel == "web" || item.category == "wine"': lambda item, query, _asked, _who: (
        query.channel == "web" or (item is not None and item.category == "wine")
    ),
    "customer.known && item.price < 500": lambda item, _query, _asked, who: (
        who.candidates is not None and 0 <= _price(item) < 500
    ),
}


def _price(item: Item | None) -> int:
    return item.price.minor_units if item is not None and item.price is not None else -1


def _open_now(offer: Offer, query: Query) -> bool:
    """Tell, by the calendar rather than by arithmetic, whether the customer's clock is within the hours."""
    local = NOW + timedelta(seconds=query.utc_offset)
    moments = [
        (local.date() - timedelta(days=back), local.hour * 60 + local.minute + back * 24 * 60) for back in (0, 1)
    ]
    return not offer.weekly_hours or any(
        (not hours.weekdays or day.weekday() in hours.weekdays) and hours.start_minute <= minute < hours.end_minute
        for hours in offer.weekly_hours
        for day, minute in moments
    )


def may_show(offer: Offer, asked: SlateQuery, query: Query, who: Customer) -> bool:
    """Tell whether all terms of an offer but its eligibility let it be shown."""
    return (
        offer.status is OfferStatus.LIVE
        and (offer.start_time is None or offer.start_time <= NOW)
        and (offer.end_time is None or offer.end_time > NOW)
        and (not offer.channels or not query.channel or query.channel in offer.channels)
        and (not offer.placements or asked.placement.placement in offer.placements)
        and (not offer.audience_ids or "vip" in offer.audience_ids)
        and offer.offer_id not in query.excluded_offer_ids
        and (not offer.consent_category or offer.consent_category in query.consent_categories)
        and _open_now(offer, query)
        and all(_has_room(cap, offer, asked, query, who) for cap in offer.caps)
        and not any(_keeps_away(event, offer) for event in who.profile.events)
    )


def _has_room(cap: Cap, offer: Offer, asked: SlateQuery, query: Query, who: Customer) -> bool:
    counts = who.counters if cap.scope is CapScope.CUSTOMER else query.totals
    concerns = cap.placement in ("", asked.placement.placement) and cap.channel in ("", query.channel)
    name = f"{BUCKETS[cap.period]}:{cap.event.value}:{cap.placement}:{cap.channel}:{offer.offer_id}"
    return not concerns or (counts is not None and counts.get(name, 0) < cap.maximum)


def _keeps_away(event: ProfileEvent, offer: Offer) -> bool:
    if event.offer_id != offer.offer_id:
        return False
    cooling = (
        offer.cooldown is not None
        and event.event_type == offer.cooldown.event_type
        and (NOW - event.event_time).total_seconds() < offer.cooldown.seconds
    )
    return cooling or event.event_type == "dismiss"


def check_place(shop: Catalog, asked: SlateQuery, choice: Choice, query: Query, who: Customer) -> None:
    """Check that one place of a slate holds nothing that it may not."""
    if choice.offer is None:
        assert asked.placement.plain_items
    else:
        item = shop.items.get(choice.item_id)
        covered = item is not None and choice.offer.item_filter is not None and choice.offer.item_filter.covers(item)
        assert choice.item_id in choice.offer.item_ids or covered or (choice.offer.fallback and not choice.item_id)
        assert may_show(choice.offer, asked, query, who)
        holds = CONDITIONS.get(choice.offer.eligibility)
        assert holds is None or holds(item, query, asked, who)
    for event in who.profile.events:
        if event.item_id != choice.item_id or event.event_type not in ("dismiss", "purchase") or not choice.item_id:
            continue
        assert event.event_type != "dismiss"
        assert asked.placement.rebuys is not Rebuys.REFUSED
        assert asked.placement.rebuys is Rebuys.ALLOWED or event.event_time <= LAST_EVENT_TIME
    if who.candidates is not None and asked.placement.rebuys is Rebuys.REFUSED:
        flagged = who.candidates.candidates["row"][who.candidates.candidates["source"] & BOUGHT_FLAG != 0]
        assert choice.item_id not in {item_id(row) for row in flagged}
