"""Conditions in CEL: what they may say, on what they hold, and that the parts of an answer agree about them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.customers import CustomerRecord
from models.errors import InvalidInputError
from models.offers import Audience, Item, ItemFilter, Money, Offer, Placement
from models.outlook import OUTLOOK, pack_outlooks
from models.policy import Pin, Policy
from service.decision.asked_facts import AskedFacts
from service.decision.conditions import check_condition, condition_of
from service.decision.facts import ASKED_FACTS, FACT_TYPES, ITEM_FACTS, item_facts
from service.decision.history import read_history
from service.decision.query import Customer, Query, SlateQuery
from service.decision.slate import decide
from service.decision.snapshot import Snapshot, build_snapshot
from service.decision.terms import TraceRule
from service.decision.traces import trace_offers
from tests.decision.samples import HOME, NOW, catalog, customer, did, offers_of, rows_of, slate_of, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id

LISTED = candidate_list([candidate(row, 1 - place / 100) for place, row in enumerate((7, 3, 11, 2, 9))])
ITEMS = [
    Item(item_id(7), title="Rye", category="bread", price=Money(300, "EUR"), labels=("organic",)),
    Item(item_id(3), title="Port", category="wine", price=Money(900, "EUR")),
    Item(item_id(11), category="wine", price=Money(4900, "EUR")),
    Item(item_id(2), category="wine"),
    Item(item_id(9), category="bread", price=Money(100, "EUR")),
]
GOLD = CustomerRecord("ada", attributes={"tier": "gold", "age": 44.0, "member": True, "teams": ("red", "blue")})
EXPECTED = replace(LISTED, outlook=int(pack_outlooks(np.array([(5, 4, 1, 0.25, 120.0, 9.0)], OUTLOOK))[0]))
OFFERS_ONLY = replace(HOME, plain_items=False)


def shop(eligibility: str) -> Snapshot:
    offer = Offer("o", (), item_filter=ItemFilter(), eligibility=eligibility)
    return snapshot(shop=catalog([offer], ITEMS, [Audience("vip", frozenset({"ada"}))]))


def rows_shown(eligibility: str, who: Customer, placement: Placement = HOME, **rules: object) -> list[int]:
    """Give the items on which the offer may be shown, one after the other."""
    served = shop(eligibility)
    shown = []
    for row in (7, 3, 11, 2, 9):
        alone = who._replace(candidates=candidate_list([candidate(row, 1.0)]))
        if offers_of(slate_of(served, alone, placement, size=1, **rules)) == ["o"]:
            shown.append(row)
    return shown


EVERYTHING = [7, 3, 11, 2, 9]


@pytest.mark.parametrize(
    ("eligibility", "rows"),
    [
        ("true", EVERYTHING),
        ("false", []),
        ("item.price < 5000", [7, 3, 11, 9]),
        ('item.category == "wine" && item.price < 1000', [3]),
        ('"organic" in item.labels', [7]),
        ('item.currency == "USD"', []),
        ('item.title.startsWith("P")', [3]),
        ('customer.text.tier == "gold"', EVERYTHING),
        ('customer.text.tier == "gold" && item.price < 500', [7, 9]),
        ('customer.text.tier == "silver" || item.price > 4000', [11]),
        ('customer.text.level == "x" || item.price > 4000', [11]),
        ("customer.number.age >= 18.0 && customer.truth.member", EVERYTHING),
        ('"red" in customer.texts.teams', EVERYTHING),
        ('has(customer.text.level) ? false : item.category == "bread"', [7, 9]),
        ('customer.audiences.exists(one, one == "vip")', EVERYTHING),
        ("item.category in customer.bought_categories", [3, 11, 2]),
        ('"item-007" in customer.viewed && customer.viewed_categories == ["bread"]', EVERYTHING),
        ("customer.purchases == 1 && customer.days_since_purchase == 2", EVERYTHING),
        ('"item-001" in customer.bought', []),
        ("customer.known && customer.id == 'ada'", EVERYTHING),
        ('request.placement == "home-top" && request.channel == "web"', EVERYTHING),
        ('request.placement == "cart-side"', []),
        ('request.time < timestamp("2030-01-01T00:00:00Z") && request.hour == 14 && request.weekday == 2', EVERYTHING),
        ('request.language == "de" && request.segment == "young" && "health" in request.consents', EVERYTHING),
        ("request.context_items.size() == 0", EVERYTHING),
        ("1 / 0 == 1", []),
    ],
)  # fmt: skip
def test_an_offer_stands_where_its_condition_holds(eligibility: str, rows: list[int]) -> None:
    check_condition("eligibility", eligibility)
    bought = did("purchase", 3, NOW - timedelta(days=2, hours=1))
    who = customer(None, did("view", 7), bought)._replace(record=GOLD)
    rebuys = replace(HOME, rebuys=type(HOME.rebuys).ALLOWED)
    asked = {"channel": "web", "language": "de", "segment": "young", "utc_offset": 2 * 3600}
    assert rows_shown(eligibility, who, placement=rebuys, consent_categories=frozenset({"health"}), **asked) == rows


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("customer.known && item.price < 500", ["customer.known", "item.price < 500"]),
        ("true&&(customer.known || item.price < 500)", ["true", "(customer.known || item.price < 500)"]),
        ("customer.known || item.price < 500 && true", ["customer.known || item.price < 500 && true"]),
        ("customer.known ? true : false && true", ["customer.known ? true : false && true"]),
        (
            "item.id == 'a && b' && [true].all(one, one && true)",
            ["item.id == 'a && b'", "[true].all(one, one && true)"],
        ),
        ("dyn(true) && item.price < 500", ["dyn(true) && item.price < 500"]),
        ("true // && false", ["true // && false"]),
    ],
    ids=range(7),
)
def test_a_condition_is_remembered_in_the_parts_that_must_all_hold(source: str, parts: list[str]) -> None:
    check_condition("eligibility", source)
    assert [part.source for part in condition_of(source).parts] == parts


def test_conditions_choose_among_offers_on_one_item_the_campaigns_and_the_pinned() -> None:
    offers = [
        Offer("cheap", (), item_filter=ItemFilter(), eligibility='customer.text.tier == "gold" && item.price < 500'),
        Offer("rest", (), item_filter=ItemFilter(), priority=-1),
    ]
    gold = customer(LISTED)._replace(record=GOLD)
    served = snapshot(shop=catalog(offers, ITEMS))
    assert offers_of(slate_of(served, gold, size=2)) == ["cheap", "rest"]
    assert offers_of(slate_of(served, customer(LISTED), size=2)) == ["rest", ""]
    only_cheap = snapshot(shop=catalog(offers[:1], ITEMS))
    assert rows_of(slate_of(only_cheap, gold._replace(candidates=None), OFFERS_ONLY)) == [7]
    pinned = replace(OFFERS_ONLY, policy=Policy(pins=(Pin(1, "cheap"),)))
    assert rows_of(slate_of(only_cheap, gold, pinned)) == [7]
    assert slate_of(only_cheap, customer(LISTED), pinned) == []


@pytest.mark.parametrize(
    ("eligibility", "rule"),
    [
        ("false", TraceRule.ELIGIBILITY),
        ("item.price > 9000", TraceRule.ELIGIBILITY),
        ('customer.text.tier == "gold" && item.price < 500', TraceRule.ELIGIBILITY),
        ('request.placement == "home-top" && item.price > 9000', TraceRule.ELIGIBILITY),
        ("item.price < 200", TraceRule.OUTRANKED),
    ],
)
def test_a_condition_that_does_not_hold_is_told(eligibility: str, rule: TraceRule) -> None:
    served = shop(eligibility)
    query = Query([SlateQuery(HOME, 1)], NOW.timestamp(), trace_offer_ids=["o"])
    who = customer(LISTED)
    assert trace_offers(served, query, who, decide(served, query, who))[0][0].rule is rule


def test_an_item_that_changes_is_looked_at_anew() -> None:
    before = shop("item.price < 200")
    dear = replace(before.catalog, items={item_id(7): replace(ITEMS[0], price=Money(100, "EUR"))}, version=2)
    after = build_snapshot(dear, before.model, NOW.timestamp(), before)
    who = customer(candidate_list([candidate(7, 1.0)]))
    assert offers_of(slate_of(before, who, size=1)) == [""]
    assert offers_of(slate_of(after, who, size=1)) == ["o"]


@pytest.mark.parametrize(
    ("eligibility", "problem"),
    [
        ("customer.tier == 1", "undeclared reference to 'customer.tier' at column 9"),
        ('item.price == "a"', r"no matching overload for '_==_' applied to '\(int, string\)' at column 12"),
        ("true &&\n  nothing", "at line 2, column 3"),
        ("item.price + 1", "of type INT"),
        ("1 <", "Syntax error.*column 4"),
        ("(" * 200 + "true" + ")" * 200, "nested too deeply"),
        ("item.labels.all(a, item.labels.exists(b, a == b))", "too many lists at column 31"),
        (" || ".join(["item.labels.exists(a, a == 'x')"] * 5), "too many lists"),
        ("item.id == '" + "x" * 1024 + "'", "longer than 1,024 bytes"),
    ],
    ids=range(9),
)
def test_a_condition_that_cannot_be_used_is_refused_at_its_column(eligibility: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem) as caught:
        check_condition("offers[0].eligibility", eligibility)
    assert caught.value.field == "offers[0].eligibility"


def test_walks_side_by_side_and_brackets_in_texts_are_no_nested_walks() -> None:
    check_condition("e", "(item.labels.exists(a, a == ')(')) && item.labels.all(b, b != \"x.all(\")")


def test_a_condition_that_another_release_stored_and_this_one_cannot_read_holds_nowhere() -> None:
    assert rows_shown("item.colour == 'red'", customer()) == []
    assert rows_shown("moon.phase == 'full'", customer()) == []


def test_every_fact_is_known_of_a_customer_of_whom_everything_is_known() -> None:
    served = shop("true")
    who = customer(EXPECTED, did("purchase", 3), did("view", 7))._replace(record=GOLD)
    facts = AskedFacts(served, Query([], NOW.timestamp()), who, read_history(who.profile, served.slots))
    assert facts.named(ASKED_FACTS, "home-top").keys() == ASKED_FACTS.keys()
    assert item_facts("x", ITEMS[0], ITEM_FACTS).keys() == ITEM_FACTS.keys()
    for name, value in (facts.named(ASKED_FACTS, "home-top") | item_facts("x", ITEMS[0], ITEM_FACTS)).items():
        assert condition_of(f"{name} == {name}").verdict({name: value}) is True, f"{name}: {FACT_TYPES[name]}"


def test_what_the_training_expects_of_a_customer_can_be_asked_for() -> None:
    served = shop("true")
    who = customer(EXPECTED)
    asked_at = served.model.trained_until + 2 * 86_400
    query = Query([], asked_at)
    facts = AskedFacts(served, query, who, read_history(who.profile, served.slots))
    told = facts.named(["customer.segment", "customer.days_to_purchase", "customer.churn_risk"], "home-top")
    assert told["customer.segment"] == "champions"
    assert told["customer.days_to_purchase"] == 7
    assert told["customer.churn_risk"] == pytest.approx(0.25, abs=0.01)
    nobody = AskedFacts(served, query, customer(LISTED), read_history(who.profile, served.slots))
    assert nobody.named(["customer.segment", "customer.days_to_purchase", "customer.value"], "home-top") == {}


ATOMS = st.sampled_from(
    [
        "item.price < 500",
        'item.category == "wine"',
        'customer.text.tier == "gold"',
        'request.channel == "web"',
        "item.price / customer.purchases > 100",
        'has(customer.text.tier)',
        "true",
        "false",
    ]
)  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda parts: f"({' '.join(parts)})")
        | st.tuples(inner, inner).map(" && ".join)
        | inner.map(lambda one: f"!({one})")
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(CONDITIONS, st.sampled_from(ITEMS), st.sampled_from(["gold", "silver", None]), st.sampled_from(["web", "app"]))
def test_what_some_facts_decide_all_facts_decide_alike(source: str, item: Item, tier: str | None, channel: str) -> None:
    condition = condition_of(source)
    of_item = item_facts(item.item_id, item, condition.item_names)
    asked = {
        "customer.text": {} if tier is None else {"tier": tier},
        "request.channel": channel,
        "customer.purchases": 0,
    }
    of_request = {name: asked[name] for name in condition.asked_names}
    everything = condition.verdict(of_item | of_request)
    verdicts = [part.verdict(of_item | of_request) for part in condition.parts]
    assert (everything is True) is all(verdict is True for verdict in verdicts)
    for part in (of_item, of_request):
        known = condition.verdict(part)
        assert known is None or known is everything
