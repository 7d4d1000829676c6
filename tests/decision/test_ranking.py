from models.offers import Item
from service.decision.ranking import rank_items, similar_items
from service.decision.reasons import Reason, ReasonCode
from tests.decision.samples import catalog, customer, did, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id, item_model


def ids(*rows: int) -> list[str]:
    return [item_id(row) for row in rows]


def test_items_are_ranked_by_the_list_then_by_likeness_then_by_popularity_then_as_given() -> None:
    model = item_model(neighbors={4: [(18, 0.2), (17, 0.6)]})
    own = candidate_list([candidate(9, 0.9), candidate(8, 0.1)])
    given = ["new-b", *ids(19, 18, 17, 8, 2, 9), "new-a"]
    ranked = rank_items(snapshot(model), customer(own, did("view", 4)), given)
    assert [choice.item_id for choice in ranked] == [*ids(9, 8, 17, 18, 2, 19), "new-b", "new-a"]
    assert ranked[2].reasons == (Reason(ReasonCode.VIEWED, (item_id(4),)),)
    assert ranked[4].reasons == (Reason(ReasonCode.POPULAR),)
    assert ranked[-1].reasons == ()


def test_items_of_an_unknown_customer_are_ranked_by_the_shared_list() -> None:
    ranked = rank_items(snapshot(), customer(), ids(5, 1, 3))
    assert [choice.item_id for choice in ranked] == ids(1, 3, 5)
    assert {choice.reasons for choice in ranked} == {(Reason(ReasonCode.POPULAR),)}


def test_similar_items_come_most_alike_first_and_only_those_that_the_shop_has() -> None:
    model = item_model(neighbors={0: [(5, 0.9), (6, 0.8), (7, 0.7)]})
    assert [choice.item_id for choice in similar_items(snapshot(model), item_id(0), 2)] == ids(5, 6)
    shop = catalog(items=[Item(item_id(0)), Item(item_id(7))])
    assert [choice.item_id for choice in similar_items(snapshot(model, shop), item_id(0), 2)] == ids(7)


def test_an_item_unknown_to_the_model_has_no_similar_items() -> None:
    assert similar_items(snapshot(), "never-seen", 10) == []
