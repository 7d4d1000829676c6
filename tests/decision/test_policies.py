from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from models.offers import Item, Money, Offer, Placement
from models.policy import ContextWeight, Factor, Lever, Pin, Policy, Promotion, Rotation, ScoreMode
from models.profile import ProfileEvent
from models.propensity import Propensity
from service.decision.arbitration import Factors
from service.decision.arrangement import AppliedRule
from service.decision.query import Query, SlateQuery
from service.decision.reasons import CAMPAIGN, FALLBACK
from service.decision.slate import decide
from tests.decision.samples import HOME, NOW, catalog, customer, did, offers_of, rows_of, slate_of, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id, item_model

ROWS = (7, 3, 11, 2, 9)
LISTED = candidate_list([candidate(row, 1 - place / 10) for place, row in enumerate(ROWS)])
BREAD, WINE = "bread", "wine"
ITEMS = [
    Item(item_id(7), category=BREAD),
    Item(item_id(3), category=BREAD),
    Item(item_id(11), category=BREAD, labels=("new",)),
    Item(item_id(2), category=WINE),
    Item(item_id(9)),
]


def placement(**policy: object) -> Placement:
    return replace(HOME, policy=Policy(**cast("dict[str, Any]", policy)))


def test_priority_decides_before_the_score() -> None:
    offers = [Offer("low", (item_id(7),), priority=-1), Offer("high", (item_id(2),), priority=1)]
    slate = slate_of(snapshot(shop=catalog(offers, ITEMS)), customer(LISTED), placement(score_mode=ScoreMode.PRIORITY))
    assert offers_of(slate) == ["high", "", "", "", "low"]
    assert rows_of(slate) == [2, 3, 11, 9, 7]


def test_arbitration_multiplies_propensity_context_value_and_lever() -> None:
    offers = [
        Offer("dear", (item_id(2),), value=Money(400, "EUR"), labels=("push",)),
        Offer("cheap", (item_id(7),), value=Money(50, "EUR")),
    ]
    asked = placement(
        score_mode=ScoreMode.ARBITRATED,
        levers=(Lever("push", 50), Lever("new", -100)),
        context_weights=(ContextWeight(20, channel="web"), ContextWeight(30, channel="web", label="push")),
    )
    slate = slate_of(snapshot(shop=catalog(offers, ITEMS)), customer(LISTED), asked, channel="web", explain=True)
    assert rows_of(slate) == [2, 3, 9, 7, 11]
    assert slate[0].factors == pytest.approx(Factors(0.7, 1.5, 4.0, 1.5), rel=1e-3)
    assert slate[0].score == pytest.approx(0.7 * 1.5 * 4.0 * 1.5, rel=1e-3)
    assert slate[3].factors == pytest.approx(Factors(1.0, 1.2, 0.5, 1.0), rel=1e-3)
    assert slate[4].score == 0.0


def test_propensity_is_what_the_model_measured_behind_the_score() -> None:
    measured = Propensity(np.array([0.5, 1.0], dtype=np.float32), np.array([0.0, 0.25], dtype=np.float32))
    model = replace(item_model(), propensity=measured)
    asked = placement(score_mode=ScoreMode.ARBITRATED)
    slate = slate_of(snapshot(model=model), customer(LISTED), asked, explain=True)
    assert [choice.factors.propensity for choice in slate[:5] if choice.factors] == pytest.approx(
        [0.25, 0.2, 0.15, 0.1, 0.05], abs=1e-3
    )


def test_each_factor_can_be_switched_off() -> None:
    offers = [Offer("dear", (item_id(2),), value=Money(400, "EUR"), labels=("push",))]
    for factor, place in zip(Factor, range(4), strict=True):
        asked = placement(
            score_mode=ScoreMode.ARBITRATED,
            ignored_factors=(factor,),
            levers=(Lever("push", 50),),
            context_weights=(ContextWeight(20),),
        )
        factors = slate_of(snapshot(shop=catalog(offers, ITEMS)), customer(LISTED), asked, explain=True)[0].factors
        assert factors is not None
        assert [index for index, value in enumerate(factors) if value == 1.0] == [place]


def test_context_weights_ask_for_segment_and_category_of_the_context() -> None:
    offers = [Offer("o", (item_id(2),), labels=("push",))]
    weights = (
        ContextWeight(900, segment="young", label="push"),
        ContextWeight(900, context_category=WINE, label="push"),
    )
    asked = placement(score_mode=ScoreMode.ARBITRATED, context_weights=weights)
    served = snapshot(shop=catalog(offers, [*ITEMS, Item(item_id(19), category=WINE)]))
    assert rows_of(slate_of(served, customer(LISTED), asked))[0] == 7
    assert rows_of(slate_of(served, customer(LISTED), asked, segment="young"))[0] == 2
    assert rows_of(slate_of(served, customer(LISTED), asked, context_item_ids=[item_id(19)]))[0] == 2


def test_a_category_has_no_more_places_than_its_limit_and_items_without_one_do_not_count() -> None:
    slate = slate_of(snapshot(shop=catalog(items=ITEMS)), customer(LISTED), placement(maximal_per_category=1))
    assert rows_of(slate) == [7, 2, 9]


def test_likeness_counts_against_the_score() -> None:
    slate = slate_of(snapshot(shop=catalog(items=ITEMS)), customer(LISTED), placement(diversity_percent=60))
    assert rows_of(slate)[:3] == [7, 2, 9]
    assert [choice.applied_rules for choice in slate[3:]] == [(AppliedRule.DIVERSIFIED,)] * 2


def test_items_that_are_tied_are_alike_without_categories() -> None:
    model = item_model(neighbors={7: [(3, 1.0), (11, 1.0)]})
    slate = slate_of(snapshot(model), customer(LISTED), placement(diversity_percent=60), size=3)
    assert rows_of(slate) == [7, 2, 9]


def test_a_promoted_label_gets_its_share_at_the_latest() -> None:
    asked = placement(promotion=Promotion("new", 50))
    served = snapshot(shop=catalog(items=ITEMS))
    slate = slate_of(served, customer(LISTED), asked, size=2)
    assert rows_of(slate) == [7, 11]
    assert [choice.applied_rules for choice in slate] == [(), (AppliedRule.PROMOTED,)]
    assert rows_of(slate_of(served, customer(LISTED), asked, size=1)) == [7]
    assert rows_of(slate_of(served, customer(LISTED), asked, size=5)) == [7, 3, 11, 2, 9]


def test_a_pinned_offer_stands_at_its_place_though_nothing_speaks_for_it() -> None:
    offers = [Offer("pinned", (item_id(15),)), Offer("paused", (item_id(2),), channels=("push",))]
    asked = placement(pins=(Pin(2, "pinned"), Pin(1, "paused"), Pin(3, "nowhere")))
    served = snapshot(shop=catalog(offers, [*ITEMS, Item(item_id(15))]))
    slate = slate_of(served, customer(LISTED), asked, size=3, channel="web")
    assert rows_of(slate) == [7, 15, 3]
    assert slate[1].applied_rules == (AppliedRule.PINNED,)
    assert slate[1].reasons == CAMPAIGN


def test_a_pin_beyond_the_slate_stands_at_its_end() -> None:
    offers = [Offer("a", (item_id(15),)), Offer("b", (item_id(16),))]
    served = snapshot(shop=catalog(offers))
    slate = slate_of(served, customer(LISTED), placement(pins=(Pin(50, "a"), Pin(60, "b"))), size=3)
    assert offers_of(slate) == ["", "b", "a"]


def test_what_was_shown_and_not_taken_sinks_and_rises_again_when_taken() -> None:
    seen = [did("impression", 7, NOW), did("impression", 7, NOW)]
    asked = placement(rotation=Rotation(20))
    slate = slate_of(snapshot(), customer(LISTED, *seen), asked, size=5)
    assert rows_of(slate) == [3, 11, 2, 7, 9]
    assert slate[3].applied_rules == (AppliedRule.ROTATED,)
    assert slate[3].score == pytest.approx(0.64, rel=1e-3)
    taken = customer(LISTED, did("click", 7, NOW), *seen)
    assert rows_of(slate_of(snapshot(), taken, asked, size=1)) == [7]


def test_only_what_is_chosen_is_used_up_for_the_next_placement() -> None:
    slates = [SlateQuery(placement(maximal_per_category=1), 2), SlateQuery(Placement("cart-side"), 2)]
    query = Query(slates, NOW.timestamp())
    first, second = decide(snapshot(shop=catalog(items=ITEMS)), query, customer(LISTED))
    assert rows_of(first) == [7, 2]
    assert rows_of(second) == [3, 11]


FALLBACKS = [Offer("first", (), fallback=True, priority=1), Offer("second", (item_id(4),), fallback=True)]
NO_ITEMS = replace(HOME, plain_items=False)


def test_what_would_be_empty_holds_the_fallback_of_highest_priority_with_an_item_if_it_has_one() -> None:
    served = snapshot(shop=catalog(FALLBACKS))
    slates = [SlateQuery(NO_ITEMS, 5), SlateQuery(NO_ITEMS, 5), SlateQuery(NO_ITEMS, 5)]
    answered = decide(served, Query(slates, NOW.timestamp()), customer(LISTED))
    assert [offers_of(slate) for slate in answered] == [["first"], ["second"], []]
    assert [choice.item_id for slate in answered for choice in slate] == ["", item_id(4)]
    assert answered[0][0].reasons == FALLBACK


def test_a_placement_names_its_own_fallbacks() -> None:
    served = snapshot(shop=catalog([*FALLBACKS, Offer("no-fallback", (item_id(1),), channels=("push",))]))
    asked = replace(placement(fallback_offer_ids=("gone", "no-fallback", "second")), plain_items=False)
    assert offers_of(slate_of(served, customer(LISTED), asked, channel="web")) == ["second"]


def test_a_fallback_is_shown_only_where_a_slate_would_be_empty() -> None:
    served = snapshot(shop=catalog([*FALLBACKS, Offer("o", (item_id(7),))]))
    assert offers_of(slate_of(served, customer(LISTED), NO_ITEMS)) == ["o"]


def test_a_dismissed_impression_is_no_reason_to_sink_another_item() -> None:
    event = ProfileEvent("impression", "", "", NOW)
    slate = slate_of(snapshot(), customer(LISTED, event), placement(rotation=Rotation(50)), size=2)
    assert rows_of(slate) == [7, 3]
