"""What gives a trigger reason to push, and what takes it away."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.motives import Motive, Watched, motives_of
from models.next_purchase import next_purchase_time
from models.offered_items import OfferedItems
from models.offers import Audience, Item, ItemFilter, Offer, OfferStatus, ShareOff
from models.profile import ProfileEvent
from models.triggers import Trigger, TriggerKind

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
HOUR = 3_600
ITEMS = {name: Item(name, category="Bread") for name in ("rye", "wheat")}
CHEAP = Offer("cheap", ("rye",), discount=ShareOff(1_000))

Did = tuple[str, str, float]
"""Is what a customer did: the type, to what, and how many hours ago."""


def watched(
    *did: Did,
    offers: Sequence[Offer] = (CHEAP,),
    audiences: Sequence[Audience] = (),
    returns: Mapping[str, float] | None = None,
) -> Watched:
    events = [
        ProfileEvent(
            kind, "" if name in {offer.offer_id for offer in offers} else name, name, NOW - timedelta(hours=ago)
        )
        for kind, name, ago in sorted(did, key=lambda one: one[2])
    ]
    known = {audience.audience_id: audience for audience in audiences}
    return Watched(events, ("ada",), OfferedItems(offers, ITEMS), known, returns or {})


def motives(kind: TriggerKind, seen: Watched, *, lookback: int = 14 * 24 * HOUR, lead: int = 48 * HOUR) -> list[Motive]:
    return list(motives_of(Trigger("t", kind, lookback=lookback, lead=lead), seen, NOW.timestamp()))


def items_of(kind: TriggerKind, *did: Did, offers: Sequence[Offer] = (CHEAP,)) -> list[str]:
    return [motive.item_id for motive in motives(kind, watched(*did, offers=offers))]


@pytest.mark.parametrize("kind", ["view", "search", "cart"])
def test_a_discount_on_what_was_looked_at_is_a_motive(kind: str) -> None:
    (motive,) = motives(TriggerKind.DISCOUNT, watched((kind, "rye", 2)))
    assert (motive.item_id, motive.offer_id) == ("rye", "cheap")
    assert motive.time == NOW.timestamp() - 2 * HOUR


@pytest.mark.parametrize("kind", ["purchase", "dismiss"])
def test_what_was_bought_or_dismissed_since_is_none(kind: str) -> None:
    assert items_of(TriggerKind.DISCOUNT, ("view", "rye", 2), (kind, "rye", 1)) == []
    assert items_of(TriggerKind.DISCOUNT, (kind, "rye", 3), ("view", "rye", 2)) == ["rye"]


def test_what_was_looked_at_too_long_ago_is_none() -> None:
    seen = watched(("view", "rye", 30))
    assert motives(TriggerKind.DISCOUNT, seen, lookback=24 * HOUR) == []
    assert len(motives(TriggerKind.DISCOUNT, seen, lookback=48 * HOUR)) == 1


@pytest.mark.parametrize(
    "offer",
    [
        replace(CHEAP, discount=None),
        replace(CHEAP, status=OfferStatus.PAUSED),
        replace(CHEAP, start_time=NOW + timedelta(hours=1)),
        replace(CHEAP, end_time=NOW),
        replace(CHEAP, channels=("web",)),
        replace(CHEAP, placements=("home-top",)),
        replace(CHEAP, audience_ids=("others",)),
        replace(CHEAP, item_ids=("wheat",)),
    ],
)
def test_an_offer_that_cannot_be_shown_there_now_is_none(offer: Offer) -> None:
    assert items_of(TriggerKind.DISCOUNT, ("view", "rye", 2), offers=(offer,)) == []


def test_filters_and_audiences_count_as_they_do_everywhere() -> None:
    offer = replace(CHEAP, item_ids=(), item_filter=ItemFilter(("Bread",)), audience_ids=("us",))
    seen = watched(("view", "wheat", 1), offers=(offer,), audiences=[Audience("us", frozenset({"ada"}))])
    assert [motive.item_id for motive in motives(TriggerKind.DISCOUNT, seen)] == ["wheat"]


def test_what_came_back_after_it_was_looked_at_is_a_motive_once_for_each_return() -> None:
    back = NOW.timestamp() - HOUR
    (motive,) = motives(TriggerKind.BACK_IN_STOCK, watched(("view", "rye", 2), returns={"rye": back}))
    (again,) = motives(TriggerKind.BACK_IN_STOCK, watched(("view", "rye", 2), returns={"rye": back + 60}))
    assert motive.item_id == "rye"
    assert motive.key != again.key


def test_what_was_looked_at_after_it_came_back_is_none() -> None:
    seen = watched(("view", "rye", 1), returns={"rye": NOW.timestamp() - 2 * HOUR})
    assert motives(TriggerKind.BACK_IN_STOCK, seen) == []


def test_the_newest_in_the_cart_is_a_motive_until_anything_is_bought() -> None:
    filled = (("cart", "wheat", 5.0), ("cart", "rye", 4.0))
    assert items_of(TriggerKind.ABANDONED_CART, *filled) == ["rye"]
    assert items_of(TriggerKind.ABANDONED_CART, *filled, ("purchase", "wheat", 3)) == []


def test_an_offer_that_ends_soon_is_a_motive_for_who_clicked_or_looked() -> None:
    end = NOW + timedelta(hours=20)
    ending = replace(CHEAP, end_time=end)
    for did in (("click", "cheap", 3.0), ("view", "rye", 3.0)):
        (motive,) = motives(TriggerKind.OFFER_ENDING, watched(did, offers=(ending,)))
        assert (motive.offer_id, motive.end) == ("cheap", end.timestamp())


def test_an_offer_that_was_redeemed_or_ends_later_is_none() -> None:
    ending = replace(CHEAP, end_time=NOW + timedelta(hours=20))
    redeemed = watched(("click", "cheap", 3), ("redeem", "cheap", 2), offers=(ending,))
    assert motives(TriggerKind.OFFER_ENDING, redeemed) == []
    assert motives(TriggerKind.OFFER_ENDING, watched(("click", "cheap", 3), offers=(ending,)), lead=HOUR) == []


def test_who_buys_again_about_now_has_a_motive_for_each_purchase_before() -> None:
    did = (("purchase", "rye", 24.0), ("purchase", "rye", 48.0), ("purchase", "wheat", 72.0))
    seen = watched(*did)
    seen = replace(seen, next_purchase=next_purchase_time(seen.events))
    assert seen.next_purchase == NOW.timestamp()
    (motive,) = motives(TriggerKind.NEXT_PURCHASE, seen)
    assert motive.time == NOW.timestamp() - 24 * HOUR
    assert motives(TriggerKind.NEXT_PURCHASE, replace(seen, next_purchase=NOW.timestamp() + 9 * 24 * HOUR)) == []


def test_two_days_with_purchases_tell_nothing_of_the_next() -> None:
    seen = watched(("purchase", "rye", 1), ("purchase", "rye", 2), ("purchase", "rye", 30))
    assert next_purchase_time(seen.events) is None
