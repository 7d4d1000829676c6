from dataclasses import replace
from datetime import timedelta

import pytest

from models.offers import Audience, Item, ItemFilter, Money, Offer, OfferStatus, Placement
from models.policy import Policy
from models.terms import Cooldown, WeeklyHours
from service.decision.query import Query, SlateQuery
from service.decision.slate import decide
from service.decision.snapshot import build_snapshot
from service.decision.terms import TraceRule
from service.decision.traces import Trace, trace_offers
from tests.decision.samples import HOME, NOW, catalog, customer, did, offers_of, rows_of, slate_of, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id

LISTED = candidate_list([candidate(row, 1 - place / 100) for place, row in enumerate((7, 3, 11, 2, 9))])
ITEMS = [
    Item(item_id(7), category="bread", price=Money(300, "EUR")),
    Item(item_id(3), category="wine", price=Money(900, "EUR"), labels=("new",)),
    Item(item_id(11), category="bread", price=Money(800, "EUR"), labels=("organic",)),
    Item(item_id(2), category="wine"),
    Item(item_id(9)),
    Item("brand-new", category="wine", price=Money(1200, "EUR")),
]
OFFERS_ONLY = replace(HOME, plain_items=False)


@pytest.mark.parametrize(
    ("item_filter", "covered"),
    [
        (ItemFilter(), [7, 3, 11, 2, 9]),
        (ItemFilter(categories=("bread",)), [7, 11]),
        (ItemFilter(categories=("bread", "wine")), [7, 3, 11, 2]),
        (ItemFilter(labels=("new", "organic")), [3, 11]),
        (ItemFilter(categories=("wine",), labels=("new",)), [3]),
        (ItemFilter(minimal_price=Money(800, "EUR")), [3, 11]),
        (ItemFilter(maximal_price=Money(300, "EUR")), [7]),
        (ItemFilter(minimal_price=Money(100, "USD")), []),
    ],
    ids=str,
)
def test_an_offer_stands_on_every_item_that_its_filter_covers(item_filter: ItemFilter, covered: list[int]) -> None:
    for row in (7, 3, 11, 2, 9):
        served = snapshot(shop=catalog([Offer("o", (), item_filter=item_filter)], ITEMS))
        listed = customer(candidate_list([candidate(row, 1.0)]))
        assert offers_of(slate_of(served, listed, size=1)) == ["o" if row in covered else ""]


def test_named_items_and_filters_compete_by_priority_and_the_named_need_no_filter() -> None:
    offers = [
        Offer("all", (), item_filter=ItemFilter()),
        Offer("bread", (), item_filter=ItemFilter(categories=("bread",)), priority=1),
        Offer("both", (item_id(7),), item_filter=ItemFilter(categories=("wine",)), priority=2),
    ]
    served = snapshot(shop=catalog(offers, ITEMS))
    assert offers_of(slate_of(served, customer(LISTED))) == ["both", "all", "bread", "", ""]


def test_a_filter_reaches_items_that_the_model_never_saw() -> None:
    offer = Offer("o", (), item_filter=ItemFilter(minimal_price=Money(1000, "EUR")))
    served = snapshot(shop=catalog([offer], ITEMS))
    assert [choice.item_id for choice in slate_of(served, customer(LISTED), OFFERS_ONLY)] == ["brand-new"]


def test_a_filter_follows_the_items_as_they_change() -> None:
    offers = [Offer("o", (), item_filter=ItemFilter(categories=("bread",)))]
    before = snapshot(shop=catalog(offers, ITEMS))
    assert rows_of(slate_of(before, customer(LISTED), OFFERS_ONLY)) == [7]
    moved = [replace(item, category="cake" if item.item_id == item_id(7) else item.category) for item in ITEMS]
    after = build_snapshot(catalog(offers, moved), before.model, NOW.timestamp(), before)
    assert rows_of(slate_of(after, customer(LISTED), OFFERS_ONLY)) == [11]


def test_more_offers_on_an_item_than_are_remembered_are_all_looked_at() -> None:
    offers = [Offer(f"o-{number:03d}", (), item_filter=ItemFilter(), audience_ids=("gone",)) for number in range(100)]
    served = snapshot(shop=catalog([*offers, Offer("last", (), item_filter=ItemFilter(), priority=-1)], ITEMS))
    assert offers_of(slate_of(served, customer(LISTED), size=1)) == ["last"]


# NOW is Tuesday, 2025-07-15, 12:00 UTC.
@pytest.mark.parametrize(
    ("hours", "utc_offset", "shown"),
    [
        (WeeklyHours((1,), 12 * 60, 12 * 60 + 1), 0, True),
        (WeeklyHours((1,), 12 * 60 + 1, 13 * 60), 0, False),
        (WeeklyHours((1,), 11 * 60, 12 * 60), 0, False),
        (WeeklyHours((0, 2), 0, 24 * 60), 0, False),
        (WeeklyHours((2,), 0, 60), 12 * 3600, True),
        (WeeklyHours((1,), 23 * 60, 25 * 60), 12 * 3600, True),
        (WeeklyHours((), 5 * 60, 6 * 60), -7 * 3600, True),
    ],
    ids=str,
)
def test_weekly_hours_go_by_the_clock_of_the_customer(hours: WeeklyHours, utc_offset: int, shown: bool) -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(7),), weekly_hours=(hours,))]))
    slate = slate_of(served, customer(LISTED), size=1, utc_offset=utc_offset)
    assert offers_of(slate) == ["o" if shown else ""]


def test_hours_that_begin_on_sunday_night_end_on_monday_morning() -> None:
    monday = NOW - timedelta(days=1, hours=11)
    served = snapshot(shop=catalog([Offer("o", (item_id(7),), weekly_hours=(WeeklyHours((6,), 1380, 1560),))]))
    assert offers_of(slate_of(served, customer(LISTED), size=1, now=monday.timestamp())) == ["o"]


def test_a_consent_is_needed_where_the_offer_says_so() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(7),), consent_category="health")]))
    assert offers_of(slate_of(served, customer(LISTED), size=1)) == [""]
    assert offers_of(slate_of(served, customer(LISTED), size=1, consent_categories=frozenset({"health"}))) == ["o"]


def test_an_offer_pauses_for_the_time_of_its_cooldown() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(7),), cooldown=Cooldown("redeem", 3600))]))
    lately = customer(LISTED, did("redeem", 7, NOW - timedelta(minutes=59), "o"))
    long_ago = customer(LISTED, did("redeem", 7, NOW - timedelta(minutes=60), "o"))
    of_another = customer(LISTED, did("redeem", 7, NOW, "p"), did("impression", 7, NOW, "o"))
    shown = [offers_of(slate_of(served, who, size=1)) for who in (lately, long_ago, of_another)]
    assert shown == [[""], ["o"], ["o"]]


SEVEN = (item_id(7),)
TRACED = [
    (Offer("o", SEVEN, status=OfferStatus.PAUSED), TraceRule.STATUS),
    (Offer("o", SEVEN, end_time=NOW), TraceRule.VALIDITY),
    (Offer("o", SEVEN, start_time=NOW + timedelta(days=1)), TraceRule.VALIDITY),
    (Offer("o", SEVEN, weekly_hours=(WeeklyHours((0,)),)), TraceRule.WEEKLY_HOURS),
    (Offer("o", SEVEN, placements=("cart-side",)), TraceRule.PLACEMENT),
    (Offer("o", SEVEN, channels=("push",)), TraceRule.CHANNEL),
    (Offer("o", SEVEN, audience_ids=("vip",)), TraceRule.AUDIENCE),
    (Offer("o", SEVEN, consent_category="health"), TraceRule.CONSENT),
    (Offer("o", SEVEN, cooldown=Cooldown("impression", 60)), TraceRule.COOLDOWN),
    (Offer("o", SEVEN, fallback=True), TraceRule.FALLBACK),
    (Offer("o", (item_id(19),)), TraceRule.ITEMS),
    (Offer("o", SEVEN, priority=-1), TraceRule.OTHER_OFFER),
]


@pytest.mark.parametrize(("offer", "rule"), TRACED, ids=str)
def test_why_not_names_the_first_rule_that_kept_an_offer_out(offer: Offer, rule: TraceRule) -> None:
    served = snapshot(shop=catalog([offer, Offer("p", SEVEN)], ITEMS, [Audience("vip", frozenset({"eve"}))]))
    query = Query([SlateQuery(HOME, 3)], NOW.timestamp(), channel="web", trace_offer_ids=["o", "nowhere"])
    who = customer(LISTED, did("impression", 7, NOW, "o"))
    traces = trace_offers(served, query, who, decide(served, query, who))
    assert traces == [[Trace("o", rule=rule), Trace("nowhere", rule=TraceRule.UNKNOWN)]]


def test_why_not_tells_what_was_excluded_dismissed_outranked_or_shown() -> None:
    offers = [Offer(f"on-{row}", (item_id(row),)) for row in (7, 3, 11, 2, 9)]
    served = snapshot(shop=catalog(offers, ITEMS))
    names = ["on-7", "on-3", "on-11", "on-2", "on-9"]
    slates = [SlateQuery(HOME, 1), SlateQuery(Placement("cart-side"), 1)]
    query = Query(slates, NOW.timestamp(), excluded_offer_ids=["on-3"], trace_offer_ids=names)
    who = customer(LISTED, did("dismiss", offer_id="on-11"), did("dismiss", 3))
    first, second = trace_offers(served, query, who, decide(served, query, who))
    assert first == [
        Trace("on-7", rank=1),
        Trace("on-3", rule=TraceRule.EXCLUDED),
        Trace("on-11", rule=TraceRule.DISMISSED),
        Trace("on-2", rule=TraceRule.OUTRANKED, reached_rank=3),
        Trace("on-9", rule=TraceRule.OUTRANKED, reached_rank=4),
    ]
    assert second[0] == Trace("on-7", rule=TraceRule.OTHER_PLACEMENT)
    assert second[3] == Trace("on-2", rule=TraceRule.OUTRANKED, reached_rank=2)


def test_why_not_names_the_limit_of_a_category() -> None:
    offers = [Offer("on-7", SEVEN), Offer("on-11", (item_id(11),))]
    served = snapshot(shop=catalog(offers, ITEMS))
    query = Query(
        [SlateQuery(replace(HOME, policy=Policy(maximal_per_category=1)), 5)],
        NOW.timestamp(),
        trace_offer_ids=["on-11"],
    )
    who = customer(LISTED)
    assert trace_offers(served, query, who, decide(served, query, who)) == [
        [Trace("on-11", rule=TraceRule.CATEGORY_LIMIT)]
    ]
