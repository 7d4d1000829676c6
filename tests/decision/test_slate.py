from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from models.candidates import VIEWED_FLAG, Source
from models.offers import Audience, Item, Offer, OfferStatus, Placement, Rebuys
from service.decision.query import Query, SlateQuery
from service.decision.reasons import Reason, ReasonCode
from service.decision.slate import decide
from tests.decision.samples import HOME, NOW, catalog, customer, did, offers_of, rows_of, slate_of, snapshot
from tests.models_fixtures import LAST_EVENT_TIME, candidate, candidate_list, item_id, item_model

LISTED = candidate_list([candidate(row, 1 - place / 100) for place, row in enumerate((7, 3, 11, 2, 9))])


def test_a_known_customer_gets_the_candidates_of_their_list_in_its_order() -> None:
    assert rows_of(slate_of(snapshot(), customer(LISTED), size=3)) == [7, 3, 11]


def test_a_short_list_is_filled_up_from_everyones_without_repeating_an_item() -> None:
    assert rows_of(slate_of(snapshot(), customer(LISTED), size=8)) == [7, 3, 11, 2, 9, 0, 1, 4]


def test_scores_never_rise_along_a_slate() -> None:
    scores = [choice.score for choice in slate_of(snapshot(), customer(LISTED), size=20)]
    assert scores == sorted(scores, reverse=True)


def test_an_unknown_customer_gets_the_list_of_the_segment_and_then_everyones() -> None:
    segment = [candidate(5, 0.9, Source.SEGMENT), candidate(4, 0.8, Source.SEGMENT)]
    served = snapshot(item_model(segments={"young": segment}))
    slate = slate_of(served, customer(), size=3, segment="young")
    assert rows_of(slate) == [5, 4, 0]
    codes = [choice.reasons[0].code for choice in slate]
    assert codes == [ReasonCode.POPULAR_IN_SEGMENT, ReasonCode.POPULAR_IN_SEGMENT, ReasonCode.POPULAR]


def test_an_unknown_segment_means_everyones_list() -> None:
    assert rows_of(slate_of(snapshot(), customer(), size=2, segment="nowhere")) == [0, 1]


def test_the_best_offer_on_an_item_is_the_one_of_highest_priority_then_of_first_id() -> None:
    offers = [Offer("b", (item_id(7),)), Offer("a", (item_id(7),)), Offer("z", (item_id(7),), priority=5)]
    shop = catalog(offers)
    assert offers_of(slate_of(snapshot(shop=shop), customer(LISTED), size=1)) == ["z"]
    later = catalog(offers[:2])
    assert offers_of(slate_of(snapshot(shop=later), customer(LISTED), size=1)) == ["a"]


@pytest.mark.parametrize(
    "terms",
    [
        {"status": OfferStatus.PAUSED},
        {"status": OfferStatus.DRAFT},
        {"start_time": NOW + timedelta(seconds=1)},
        {"end_time": NOW},
        {"placements": ("cart-side",)},
        {"channels": ("push",)},
        {"audience_ids": ("vip",)},
        {"audience_ids": ("nobody-made-it",)},
    ],
    ids=str,
)
def test_an_offer_outside_its_terms_is_not_shown(terms: dict[str, object]) -> None:
    offer = replace(Offer("o", (item_id(7),)), **cast("dict[str, Any]", terms))
    served = snapshot(shop=catalog([offer], audiences=[Audience("vip", frozenset({"eve"}))]))
    assert offers_of(slate_of(served, customer(LISTED), size=20, channel="web")) == [""] * 20


@pytest.mark.parametrize(
    "terms",
    [
        {"start_time": NOW},
        {"end_time": NOW + timedelta(seconds=1)},
        {"placements": ("home-top",)},
        {"channels": ("web",)},
        {"audience_ids": ("other", "vip")},
    ],
    ids=str,
)
def test_an_offer_within_its_terms_is_shown(terms: dict[str, object]) -> None:
    offer = replace(Offer("o", (item_id(7),)), **cast("dict[str, Any]", terms))
    served = snapshot(shop=catalog([offer], audiences=[Audience("vip", frozenset({"ada"}))]))
    assert offers_of(slate_of(served, customer(LISTED), size=1, channel="web")) == ["o"]


def test_an_offer_for_a_channel_is_shown_when_the_request_names_none() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(7),), channels=("push",))]))
    assert offers_of(slate_of(served, customer(LISTED), size=1)) == ["o"]


def test_an_offer_on_many_items_stands_once_and_the_next_item_comes_plain() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(7), item_id(3)))]))
    assert offers_of(slate_of(served, customer(LISTED), size=2)) == ["o", ""]


def test_a_placement_without_plain_items_holds_offers_only() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(11),)), Offer("p", (item_id(18),))]))
    slate = slate_of(served, customer(LISTED), replace(HOME, plain_items=False))
    assert offers_of(slate) == ["o", "p"]


def test_slates_of_one_answer_share_no_item_and_no_offer() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(7), item_id(3)))]))
    slates = [SlateQuery(HOME, 2), SlateQuery(Placement("cart-side"), 3)]
    first, second = decide(served, Query(slates, NOW.timestamp()), customer(LISTED))
    assert rows_of(first) == [7, 3]
    assert rows_of(second) == [11, 2, 9]
    assert offers_of([*first, *second]) == ["o", "", "", "", ""]


def test_what_one_placement_passed_over_may_fill_the_next() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(11),))]))
    slates = [SlateQuery(replace(HOME, plain_items=False), 5), SlateQuery(Placement("cart-side"), 2)]
    first, second = decide(served, Query(slates, NOW.timestamp()), customer(LISTED))
    assert rows_of(first) == [11]
    assert rows_of(second) == [7, 3]


def test_excluded_and_context_items_and_excluded_offers_are_left_out() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(11),)), Offer("p", (item_id(2),))]))
    slate = slate_of(
        served,
        customer(LISTED),
        size=3,
        excluded_item_ids=[item_id(7)],
        context_item_ids=[item_id(3)],
        excluded_offer_ids=["o"],
    )
    assert rows_of(slate) == [11, 2, 9]
    assert offers_of(slate) == ["", "p", ""]


def test_what_was_dismissed_is_left_out_item_and_offer() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(3),))]))
    who = customer(LISTED, did("dismiss", 7), did("dismiss", offer_id="o"))
    slate = slate_of(served, who, size=2)
    assert rows_of(slate) == [3, 11]
    assert offers_of(slate) == ["", ""]


BOUGHT_LIST = candidate_list([candidate(7, 1.0, bought=True), candidate(3, 0.9), candidate(11, 0.8)], [2])


@pytest.mark.parametrize(
    ("rebuys", "expected"),
    [
        (Rebuys.ALLOWED, [7, 3, 11, 0, 1, 2]),
        (Rebuys.LATER, [7, 11, 0, 1, 2, 4]),
        (Rebuys.REFUSED, [11, 0, 1, 4, 5, 6]),
    ],
)
def test_what_was_bought_is_kept_out_as_the_placement_says(rebuys: Rebuys, expected: list[int]) -> None:
    who = customer(BOUGHT_LIST, did("purchase", 3))
    assert rows_of(slate_of(snapshot(), who, replace(HOME, rebuys=rebuys), size=6)) == expected


def test_a_purchase_that_the_model_learnt_from_may_return_later() -> None:
    who = customer(LISTED, did("purchase", 7, LAST_EVENT_TIME))
    assert rows_of(slate_of(snapshot(), who, size=1)) == [7]


def test_a_shop_with_a_catalogue_shows_only_what_stands_in_it() -> None:
    served = snapshot(shop=catalog(items=[Item(item_id(3)), Item(item_id(9))]))
    assert rows_of(slate_of(served, customer(LISTED))) == [3, 9]


def test_campaigns_fill_up_by_the_popularity_of_their_items() -> None:
    offers = [
        Offer("rare", ("new-item",)),
        Offer("mine", (item_id(15), item_id(12)), audience_ids=("vip",)),
        Offer("theirs", (item_id(1),), audience_ids=("others",)),
    ]
    audiences = [Audience("vip", frozenset({"ada"})), Audience("others", frozenset({"eve"}))]
    items = [Item(id_) for id_ in ("new-item", item_id(15), item_id(12), item_id(1))]
    model = item_model()
    model.shared_lists[""].resize(0, refcheck=False)
    slate = slate_of(snapshot(model, catalog(offers, items, audiences)), customer())
    assert [choice.item_id for choice in slate] == [item_id(12), "new-item"]
    assert {choice.reasons for choice in slate} == {(Reason(ReasonCode.CAMPAIGN),)}


def test_nothing_to_offer_is_an_empty_slate() -> None:
    assert slate_of(snapshot(), customer(LISTED), replace(HOME, plain_items=False)) == []


def test_what_goes_with_the_context_is_merged_in() -> None:
    model = item_model(neighbors={0: [(15, 0.995), (3, 0.2)]})
    slate = slate_of(snapshot(model), customer(LISTED), size=3, context_item_ids=[item_id(0)])
    assert rows_of(slate) == [3, 7, 15]
    assert slate[2].reasons == (Reason(ReasonCode.GOES_WITH_CONTEXT, (item_id(0),)),)


def test_context_alone_serves_an_unknown_customer() -> None:
    model = item_model(neighbors={0: [(15, 0.9)]})
    assert rows_of(slate_of(snapshot(model), customer(), size=2, context_item_ids=[item_id(0)])) == [15, 1]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (candidate(7, 1, Source.REBUY, bought=True), Reason(ReasonCode.BOUGHT_BEFORE, (item_id(7),))),
        (candidate(7, 1, Source.COLLABORATIVE, 0), Reason(ReasonCode.BOUGHT, (item_id(4),))),
        (candidate(7, 1, Source.NEIGHBORS, 1), Reason(ReasonCode.VIEWED, (item_id(5),))),
        (candidate(7, 1, Source.COLLABORATIVE), Reason(ReasonCode.POPULAR_WITH_SIMILAR_CUSTOMERS)),
        (candidate(7, 1, Source.POPULAR), Reason(ReasonCode.POPULAR)),
        (candidate(7, 1, Source.SEGMENT), Reason(ReasonCode.POPULAR_IN_SEGMENT)),
    ],
)
def test_the_reason_is_what_the_list_says(listed: tuple[int, float, int, int], expected: Reason) -> None:
    own = candidate_list([listed], [4, 5 | VIEWED_FLAG])
    assert slate_of(snapshot(), customer(own), size=1)[0].reasons == (expected,)


def test_explain_gives_every_reason_with_all_its_evidence() -> None:
    model = item_model(neighbors={4: [(7, 0.5)], 5: [(7, 0.5)], 8: [(7, 0.5)], 9: [(7, 0.4)], 10: [(1, 0.4)]})
    own = candidate_list([candidate(7, 1, Source.COLLABORATIVE, 0)], [4, 5 | VIEWED_FLAG])
    who = customer(own, did("purchase", 8), did("view", 9), did("view", 10))
    reasons = slate_of(snapshot(model), who, size=1, explain=True)[0].reasons
    assert reasons == (
        Reason(ReasonCode.BOUGHT, (item_id(4), item_id(8))),
        Reason(ReasonCode.VIEWED, (item_id(9), item_id(5))),
        Reason(ReasonCode.POPULAR),
    )
