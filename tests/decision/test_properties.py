"""What must hold for every shop: tried on random ones."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from models.candidates import BOUGHT_FLAG
from models.catalog import Catalog
from models.counters import counter_name
from models.offers import Audience, Item, ItemFilter, Money, Offer, OfferStatus, Placement, Rebuys
from models.policy import ContextWeight, Exploration, Factor, Lever, Pin, Policy, Promotion, Rotation, ScoreMode
from models.profile import ProfileEvent
from models.terms import Cap, CapEvent, CapPeriod, CapScope, Cooldown, WeeklyHours
from service.decision.arrangement import AppliedRule
from service.decision.query import Customer, Query, SlateQuery, Treatment
from service.decision.slate import Choice, decide
from service.decision.snapshot import build_snapshot
from service.decision.terms import TraceRule
from service.decision.traces import trace_offers
from tests.decision.samples import NOW, catalog, customer, did, snapshot
from tests.models_fixtures import LAST_EVENT_TIME, candidate, candidate_list, item_id, item_model

ITEMS = 12
PINNED = (AppliedRule.PINNED,)
ROWS = st.integers(0, ITEMS - 1)
MODEL = item_model(ITEMS, neighbors={row: [((row + 1) % ITEMS, 0.9), ((row + 5) % ITEMS, 0.4)] for row in range(ITEMS)})
CHANNELS = ("web", "push")
PLACEMENTS = ("home-top", "cart-side")
CATEGORIES = ("bread", "wine")
LABELS = ("new", "clearance")
BUCKETS = {
    CapPeriod.HOUR: "hour-2025-07-15T12",
    CapPeriod.DAY: "day-2025-07-15",
    CapPeriod.WEEK: "week-2025-29",
    CapPeriod.MONTH: "month-2025-07",
    CapPeriod.EVER: "ever",
}


CAPS = st.builds(
    Cap,
    st.integers(1, 2),
    st.sampled_from(CapScope),
    st.sampled_from(CapEvent),
    st.sampled_from(CapPeriod),
    st.sampled_from(("", *PLACEMENTS)),
    st.sampled_from(("", *CHANNELS)),
)


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


def _subset(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True).map(tuple)


def _offer(number: int) -> st.SearchStrategy[Offer]:
    hours = st.none() | st.integers(-48, 48)
    fallback = st.builds(
        Offer,
        offer_id=st.just(f"offer-{number}"),
        item_ids=st.lists(st.integers(0, ITEMS + 2).map(item_id), max_size=2, unique=True).map(tuple),
        channels=_subset(CHANNELS),
        placements=_subset(PLACEMENTS),
        status=st.sampled_from(OfferStatus),
        fallback=st.just(True),
    )
    return fallback | st.builds(
        Offer,
        offer_id=st.just(f"offer-{number}"),
        item_ids=st.lists(st.integers(0, ITEMS + 2).map(item_id), min_size=1, max_size=5, unique=True).map(tuple),
        start_time=hours.map(lambda count: None if count is None else NOW + timedelta(hours=count)),
        end_time=hours.map(lambda count: None if count is None else NOW + timedelta(hours=count)),
        audience_ids=_subset(("vip", "new", "gone")),
        channels=_subset(CHANNELS),
        placements=_subset(PLACEMENTS),
        priority=st.integers(-2, 2),
        status=st.sampled_from(OfferStatus) | st.just(OfferStatus.LIVE),
        labels=_subset(LABELS),
        item_filter=st.none()
        | st.builds(
            ItemFilter,
            categories=_subset(CATEGORIES),
            labels=_subset(LABELS),
            minimal_price=st.none() | st.just(Money(500, "EUR")),
        ),
        weekly_hours=st.lists(
            st.builds(
                WeeklyHours,
                weekdays=st.lists(st.integers(0, 6), unique=True, max_size=2).map(tuple),
                start_minute=st.integers(0, 1439),
                end_minute=st.integers(1440, 1500),
            ),
            max_size=1,
        ).map(tuple),
        value=st.none() | st.integers(0, 500).map(lambda cents: Money(cents, "EUR")),
        cooldown=st.none() | st.builds(Cooldown, st.sampled_from(("impression", "redeem")), st.just(36 * 3600)),
        consent_category=st.sampled_from(("", "", "health")),
        caps=st.lists(CAPS, max_size=2).map(tuple),
        eligibility=st.just("") | st.sampled_from(tuple(CONDITIONS)),
    )


ITEM_RECORDS = [
    Item(
        item_id(row),
        category=CATEGORIES[row % 2] if row % 3 else "",
        price=Money(100 * row, "EUR"),
        labels=LABELS[: row % 3],
    )
    for row in range(ITEMS + 3)
]
CATALOGS = (
    st.integers(0, 8)
    .flatmap(lambda count: st.tuples(*(_offer(number) for number in range(count))))
    .flatmap(lambda offers: st.tuples(st.just(offers), st.sampled_from(((), ITEM_RECORDS))))
    .map(
        lambda shop: catalog(
            shop[0], shop[1], [Audience("vip", frozenset({"ada"})), Audience("new", frozenset({"eve"}))]
        )
    )
)
EVENTS = st.lists(
    st.builds(
        did,
        st.sampled_from(("purchase", "view", "dismiss", "impression", "redeem", "click")),
        st.none() | ROWS,
        st.integers(-60, 0).map(lambda days: NOW + timedelta(days=days)),
        st.just("") | st.integers(0, 7).map("offer-{}".format),
    ),
    max_size=6,
).map(lambda events: sorted(events, key=lambda event: event.event_time, reverse=True))
PERCENT = st.integers(-100, 300)
POLICIES = st.builds(
    Policy,
    score_mode=st.sampled_from(ScoreMode),
    ignored_factors=st.lists(st.sampled_from(Factor), unique=True).map(tuple),
    levers=st.lists(st.builds(Lever, st.sampled_from(LABELS), PERCENT), max_size=2).map(tuple),
    context_weights=st.lists(
        st.builds(ContextWeight, PERCENT, channel=st.sampled_from(("", *CHANNELS)), label=st.sampled_from(LABELS)),
        max_size=2,
    ).map(tuple),
    maximal_per_category=st.integers(0, 2),
    diversity_percent=st.sampled_from((0, 30, 100)),
    promotion=st.none() | st.builds(Promotion, st.sampled_from(LABELS), st.sampled_from((20, 50, 100))),
    pins=st.lists(
        st.builds(Pin, st.integers(1, 8), st.integers(0, 7).map("offer-{}".format)),
        max_size=3,
        unique_by=(lambda pin: pin.rank, lambda pin: pin.offer_id),
    ).map(tuple),
    rotation=st.none() | st.builds(Rotation, st.integers(1, 100)),
    fallback_offer_ids=st.lists(st.integers(0, 7).map("offer-{}".format), max_size=2, unique=True).map(tuple),
    exploration=st.none() | st.builds(Exploration, st.integers(1, 100)),
)
LISTS = st.none() | st.lists(st.tuples(ROWS, st.booleans()), max_size=ITEMS, unique_by=lambda pair: pair[0]).map(
    lambda rows: candidate_list(
        [candidate(row, 1 - place / 50, bought=bought) for place, (row, bought) in enumerate(rows)]
    )
)
COUNTERS = st.none() | st.dictionaries(
    st.builds(
        lambda period, cap, number: counter_name(BUCKETS[period], cap.counter(f"offer-{number}")),
        st.sampled_from(CapPeriod),
        CAPS,
        st.integers(0, 7),
    ),
    st.integers(1, 3),
    max_size=20,
)
CUSTOMERS = st.builds(
    lambda own, events, counters: customer(own, *events)._replace(counters=counters), LISTS, EVENTS, COUNTERS
)
QUERIES = st.builds(
    Query,
    slates=st.lists(
        st.builds(
            SlateQuery,
            st.builds(
                Placement,
                placement=st.sampled_from(PLACEMENTS),
                plain_items=st.booleans(),
                rebuys=st.sampled_from(Rebuys),
                policy=st.just(Policy()) | POLICIES,
            ),
            st.integers(1, 6),
        ),
        min_size=1,
        max_size=3,
    ),
    now=st.just(NOW.timestamp()),
    channel=st.sampled_from(("", *CHANNELS)),
    context_item_ids=st.lists(ROWS.map(item_id), max_size=2),
    excluded_item_ids=st.lists(ROWS.map(item_id), max_size=3),
    excluded_offer_ids=st.lists(st.integers(0, 7).map("offer-{}".format), max_size=2),
    explain=st.booleans(),
    utc_offset=st.sampled_from((0, 9 * 3600, -8 * 3600)),
    consent_categories=st.sampled_from((frozenset(), frozenset({"health"}))),
    totals=COUNTERS,
)


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


def _may_show(offer: Offer, asked: SlateQuery, query: Query, who: Customer) -> bool:
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


@settings(max_examples=150, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_no_slate_holds_what_it_may_not(shop: Catalog, query: Query, who: Customer) -> None:
    slates = decide(snapshot(MODEL, shop), query, who)
    places = [(asked, choice) for asked, slate in zip(query.slates, slates, strict=True) for choice in slate]
    item_ids = [choice.item_id for _, choice in places if choice.item_id]
    offer_ids = [choice.offer.offer_id for _, choice in places if choice.offer is not None]
    assert len(set(item_ids)) == len(item_ids)
    assert len(set(offer_ids)) == len(offer_ids)
    assert not set(item_ids) & {*query.excluded_item_ids, *query.context_item_ids}
    for asked, choice in places:
        _check_place(shop, asked, choice, query, who)


def _check_place(shop: Catalog, asked: SlateQuery, choice: Choice, query: Query, who: Customer) -> None:
    if choice.offer is None:
        assert asked.placement.plain_items
    else:
        item = shop.items.get(choice.item_id)
        covered = item is not None and choice.offer.item_filter is not None and choice.offer.item_filter.covers(item)
        assert choice.item_id in choice.offer.item_ids or covered or (choice.offer.fallback and not choice.item_id)
        assert _may_show(choice.offer, asked, query, who)
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


@settings(max_examples=60, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS, policies=st.tuples(POLICIES, POLICIES))
def test_interleaved_rankings_show_nothing_that_they_may_not(
    shop: Catalog, query: Query, who: Customer, policies: tuple[Policy, Policy]
) -> None:
    slates = []
    for asked in query.slates:
        rivals = tuple((f"arm-{n}", replace(asked.placement, policy=policy)) for n, policy in enumerate(policies))
        slates.append(asked._replace(treatment=Treatment("ranking", rivals=rivals)))
    query = query._replace(slates=slates, seed="r")
    answered = decide(snapshot(MODEL, shop), query, who)
    names = [name for slate in answered for choice in slate for name in choice.names if name[1]]
    assert len(set(names)) == len(names)
    for asked, slate in zip(query.slates, answered, strict=True):
        assert len(slate) <= asked.size
        for choice in slate:
            _check_place(shop, asked, choice, query, who)


@settings(max_examples=100, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_a_slate_is_empty_only_without_a_fallback_and_holds_one_only_alone(
    shop: Catalog, query: Query, who: Customer
) -> None:
    used: set[str] = set()
    for asked, slate in zip(query.slates, decide(snapshot(MODEL, shop), query, who), strict=True):
        wanted = asked.placement.policy.fallback_offer_ids or shop.offers
        free = [offer_id for offer_id in wanted if offer_id in shop.offers and offer_id not in used]
        fallbacks = [shop.offers[offer_id] for offer_id in free if shop.offers[offer_id].fallback]
        assert slate or not any(_may_show(offer, asked, query, who) for offer in fallbacks)
        shown = [choice.offer for choice in slate if choice.offer is not None]
        assert len(slate) == 1 or not any(offer.fallback for offer in shown)
        used.update(offer.offer_id for offer in shown)


@settings(max_examples=100, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_a_slate_keeps_the_limits_of_its_policy(shop: Catalog, query: Query, who: Customer) -> None:
    for asked, slate in zip(query.slates, decide(snapshot(MODEL, shop), query, who), strict=True):
        policy = asked.placement.policy
        categories = [
            shop.items[choice.item_id].category
            for choice in slate
            if choice.item_id in shop.items and AppliedRule.PINNED not in choice.applied_rules
        ]
        most = max((categories.count(category) for category in categories if category), default=0)
        assert not policy.maximal_per_category or most <= policy.maximal_per_category
        pinned = {choice.offer.offer_id for choice in slate if choice.offer and choice.applied_rules[:1] == PINNED}
        assert pinned <= {pin.offer_id for pin in policy.pins}


@settings(max_examples=100, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_what_is_told_of_an_offer_is_what_became_of_it(shop: Catalog, query: Query, who: Customer) -> None:
    served = snapshot(MODEL, shop)
    query = query._replace(trace_offer_ids=[f"offer-{number}" for number in range(9)])
    slates = decide(served, query, who)
    for asked, slate, traces in zip(query.slates, slates, trace_offers(served, query, who, slates), strict=True):
        shown = [choice.offer.offer_id if choice.offer is not None else "" for choice in slate]
        for trace in traces:
            offer = shop.offers.get(trace.offer_id)
            assert (trace.rank > 0) == (trace.offer_id in shown)
            assert (trace.rule is None) == (trace.rank > 0)
            assert trace.rank == 0 or shown[trace.rank - 1] == trace.offer_id
            assert (trace.rule is TraceRule.UNKNOWN) == (offer is None)
            of_terms = trace.rule is not None and (
                trace.rule < TraceRule.OTHER_PLACEMENT or trace.rule is TraceRule.CAP
            )
            if trace.rule is TraceRule.ELIGIBILITY:
                assert offer is not None
                assert offer.eligibility
            elif of_terms and offer is not None:
                assert not _may_show(offer, asked, query, who)
            elif offer is not None:
                assert _may_show(offer, asked, query, who)
            assert (trace.rule is TraceRule.OUTRANKED) == (trace.reached_rank > 0)


@settings(max_examples=60, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_scores_never_rise_unless_a_policy_says_so_and_no_slate_is_too_long(
    shop: Catalog, query: Query, who: Customer
) -> None:
    for asked, slate in zip(query.slates, decide(snapshot(MODEL, shop), query, who), strict=True):
        scores = [choice.score for choice in slate]
        assert scores == sorted(scores, reverse=True) or not asked.placement.policy.is_plain
        assert len(slate) <= asked.size


@settings(max_examples=60, deadline=None)
@given(before=CATALOGS, after=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_a_patched_snapshot_answers_as_a_new_one(before: Catalog, after: Catalog, query: Query, who: Customer) -> None:
    first = snapshot(MODEL, before)
    patched = build_snapshot(after, first.model, NOW.timestamp(), first)
    afresh = build_snapshot(after, first.model, NOW.timestamp(), None)
    assert decide(patched, query, who) == decide(afresh, query, who)
