"""Strategies for random shops, their customers, and what is asked of them."""

from datetime import timedelta

from hypothesis import strategies as st

from models.counters import counter_name
from models.offers import Audience, Item, ItemFilter, Money, Offer, OfferStatus, Placement, Rebuys
from models.policy import ContextWeight, Exploration, Factor, Lever, Pin, Policy, Promotion, Rotation, ScoreMode
from models.terms import Cap, CapEvent, CapPeriod, CapScope, Cooldown, WeeklyHours
from service.decision.query import Query, SlateQuery
from tests.decision.oracle import BUCKETS, CONDITIONS
from tests.decision.samples import NOW, catalog, customer, did
from tests.models_fixtures import candidate, candidate_list, item_id, item_model

ITEMS = 12
ROWS = st.integers(0, ITEMS - 1)
MODEL = item_model(ITEMS, neighbors={row: [((row + 1) % ITEMS, 0.9), ((row + 5) % ITEMS, 0.4)] for row in range(ITEMS)})
CHANNELS = ("web", "push")
PLACEMENTS = ("home-top", "cart-side")
CATEGORIES = ("bread", "wine")
LABELS = ("new", "clearance")
CAPS = st.builds(
    Cap,
    st.integers(1, 2),
    st.sampled_from(CapScope),
    st.sampled_from(CapEvent),
    st.sampled_from(CapPeriod),
    st.sampled_from(("", *PLACEMENTS)),
    st.sampled_from(("", *CHANNELS)),
)


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
            st.none(),
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
    # Hypothesis makes up what is left out of a named tuple, defaults or not.
    segment=st.just(""),
    language=st.just(""),
    trace_offer_ids=st.just(()),
    exhausted_offer_ids=st.just(frozenset()),
    seed=st.just(""),
)
