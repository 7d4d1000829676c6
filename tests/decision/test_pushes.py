"""A push about an item and an offer shows that offer, wherever it stands among those on the item."""

from models.offers import Offer
from models.pushes import Push
from service.decision.pushes import choose
from service.decision.query import Query, SlateQuery
from tests.decision.samples import HOME, NOW, catalog, customer, snapshot
from tests.models_fixtures import item_id

NOW_SECONDS = NOW.timestamp()


def push(offer_id: str) -> Push:
    return Push("key", "ada", "looked", item_id(7), offer_id, NOW_SECONDS, NOW_SECONDS, NOW_SECONDS + 60)


def test_an_offer_that_another_one_goes_before_is_found_all_the_same() -> None:
    offers = [Offer("first", (item_id(7),), priority=2), Offer("second", (item_id(7),), priority=1)]
    served, query = snapshot(shop=catalog(offers)), Query([SlateQuery(HOME, 1)], NOW_SECONDS)
    for offer_id, shown in (("", "first"), ("first", "first"), ("second", "second")):
        choice = choose(served, query, customer(), push(offer_id))
        assert choice is not None
        assert choice.offer is not None
        assert choice.offer.offer_id == shown
    assert choose(served, query, customer(), push("third")) is None
