"""What must hold for every shop: tried on random ones."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from models.candidates import BOUGHT_FLAG
from models.catalog import Catalog
from models.offers import Audience, Offer, OfferStatus, Placement, Rebuys
from service.decision.query import Customer, Query, SlateQuery
from service.decision.slate import Choice, decide
from service.decision.snapshot import build_snapshot
from tests.decision.samples import NOW, catalog, customer, did, snapshot
from tests.models_fixtures import LAST_EVENT_TIME, candidate, candidate_list, item_id, item_model

ITEMS = 12
ROWS = st.integers(0, ITEMS - 1)
MODEL = item_model(ITEMS, neighbors={row: [((row + 1) % ITEMS, 0.9), ((row + 5) % ITEMS, 0.4)] for row in range(ITEMS)})
CHANNELS = ("web", "push")
PLACEMENTS = ("home-top", "cart-side")


def _subset(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True).map(tuple)


def _offer(number: int) -> st.SearchStrategy[Offer]:
    hours = st.none() | st.integers(-48, 48)
    return st.builds(
        Offer,
        offer_id=st.just(f"offer-{number}"),
        item_ids=st.lists(st.integers(0, ITEMS + 2).map(item_id), min_size=1, max_size=5, unique=True).map(tuple),
        start_time=hours.map(lambda count: None if count is None else NOW + timedelta(hours=count)),
        end_time=hours.map(lambda count: None if count is None else NOW + timedelta(hours=count)),
        audience_ids=_subset(("vip", "new", "gone")),
        channels=_subset(CHANNELS),
        placements=_subset(PLACEMENTS),
        priority=st.integers(-2, 2),
        status=st.sampled_from(OfferStatus),
    )


CATALOGS = (
    st.integers(0, 8)
    .flatmap(lambda count: st.tuples(*(_offer(number) for number in range(count))))
    .map(
        lambda offers: catalog(
            offers, audiences=[Audience("vip", frozenset({"ada"})), Audience("new", frozenset({"eve"}))]
        )
    )
)
EVENTS = st.lists(
    st.builds(
        did,
        st.sampled_from(("purchase", "view", "dismiss")),
        ROWS,
        st.integers(-60, 0).map(lambda days: NOW + timedelta(days=days)),
    ),
    max_size=6,
)
LISTS = st.none() | st.lists(st.tuples(ROWS, st.booleans()), max_size=ITEMS, unique_by=lambda pair: pair[0]).map(
    lambda rows: candidate_list(
        [candidate(row, 1 - place / 50, bought=bought) for place, (row, bought) in enumerate(rows)]
    )
)
CUSTOMERS = st.builds(lambda own, events: customer(own, *events), LISTS, EVENTS)
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
    )


@settings(max_examples=100, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_no_slate_holds_what_it_may_not(shop: Catalog, query: Query, who: Customer) -> None:
    slates = decide(snapshot(MODEL, shop), query, who)
    places = [(asked, choice) for asked, slate in zip(query.slates, slates, strict=True) for choice in slate]
    item_ids = [choice.item_id for _, choice in places]
    offer_ids = [choice.offer.offer_id for _, choice in places if choice.offer is not None]
    assert len(set(item_ids)) == len(item_ids)
    assert len(set(offer_ids)) == len(offer_ids)
    assert not set(item_ids) & {*query.excluded_item_ids, *query.context_item_ids}
    for asked, choice in places:
        _check_place(asked, choice, query, who)


def _check_place(asked: SlateQuery, choice: Choice, query: Query, who: Customer) -> None:
    if choice.offer is None:
        assert asked.placement.plain_items
    else:
        assert choice.item_id in choice.offer.item_ids
        assert _may_show(choice.offer, asked, query, who)
    for event in who.profile.events:
        if event.item_id != choice.item_id or event.event_type == "view":
            continue
        assert event.event_type != "dismiss"
        assert asked.placement.rebuys is not Rebuys.REFUSED
        assert asked.placement.rebuys is Rebuys.ALLOWED or event.event_time <= LAST_EVENT_TIME
    if who.candidates is not None and asked.placement.rebuys is Rebuys.REFUSED:
        flagged = who.candidates.candidates["row"][who.candidates.candidates["source"] & BOUGHT_FLAG != 0]
        assert choice.item_id not in {item_id(row) for row in flagged}


@settings(max_examples=60, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_scores_never_rise_and_no_slate_is_too_long(shop: Catalog, query: Query, who: Customer) -> None:
    for asked, slate in zip(query.slates, decide(snapshot(MODEL, shop), query, who), strict=True):
        scores = [choice.score for choice in slate]
        assert scores == sorted(scores, reverse=True)
        assert len(slate) <= asked.size


@settings(max_examples=60, deadline=None)
@given(before=CATALOGS, after=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_a_patched_snapshot_answers_as_a_new_one(before: Catalog, after: Catalog, query: Query, who: Customer) -> None:
    first = snapshot(MODEL, before)
    patched = build_snapshot(after, first.model, NOW.timestamp(), first)
    afresh = build_snapshot(after, first.model, NOW.timestamp(), None)
    assert decide(patched, query, who) == decide(afresh, query, who)
