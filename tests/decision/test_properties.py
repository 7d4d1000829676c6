"""What must hold for every shop: tried on random ones."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalog import Catalog
from models.policy import Policy
from service.decision.arrangement import AppliedRule
from service.decision.query import Customer, Query, Treatment
from service.decision.slate import decide
from service.decision.snapshot import build_snapshot
from service.decision.terms import TraceRule
from service.decision.traces import trace_offers
from tests.decision.oracle import check_place, may_show
from tests.decision.random_shops import CATALOGS, CUSTOMERS, MODEL, POLICIES, QUERIES
from tests.decision.samples import NOW, snapshot

PINNED = (AppliedRule.PINNED,)


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
        check_place(shop, asked, choice, query, who)


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
            check_place(shop, asked, choice, query, who)


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
        assert slate or not any(may_show(offer, asked, query, who) for offer in fallbacks)
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
                assert not may_show(offer, asked, query, who)
            elif offer is not None:
                assert may_show(offer, asked, query, who)
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
    decide(first, query, who)
    afresh = build_snapshot(after, first.model, NOW.timestamp(), None)
    for model in (first.model, replace(first.model, generation=first.model.generation + 1)):
        patched = build_snapshot(after, model, NOW.timestamp(), first)
        assert decide(patched, query, who) == decide(afresh, query, who)


@settings(max_examples=60, deadline=None)
@given(before=CATALOGS, change=CATALOGS, query=QUERIES, who=CUSTOMERS)
def test_what_a_patched_snapshot_remembers_is_what_a_new_one_would_find(
    before: Catalog, change: Catalog, query: Query, who: Customer
) -> None:
    first = snapshot(MODEL, before)
    decide(first, query, who)
    after = before.apply(change.as_change())
    patched = build_snapshot(after, first.model, NOW.timestamp(), first)
    afresh = build_snapshot(after, first.model, NOW.timestamp(), None)
    for view in patched.offers.views():
        new = afresh.offers.view(view.placement, view.channel, NOW.timestamp(), plain_items=view.plain_items)
        for slot, pairings in view.items():
            found = afresh.slots.find(patched.slots.ids[slot])
            assert found is not None
            assert pairings == new[found]
            assert [one.item for one in pairings] == [one.item for one in new[found]]
