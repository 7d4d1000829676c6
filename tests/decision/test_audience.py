from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.catalog import Catalog
from models.offers import Offer, Placement, Rebuys
from models.quiet_hours import QuietHours
from service.decision.audience import AudienceDecision, AudienceQuery, Suited
from service.decision.query import Customer, Query, SlateQuery
from service.decision.reasons import ReasonCode
from service.decision.slate import decide
from service.decision.snapshot import Snapshot
from service.decision.terms import TraceRule
from tests.decision.random_shops import CATALOGS, CUSTOMERS, MODEL, QUERIES
from tests.decision.samples import NOW, catalog, customer, did, snapshot
from tests.models_fixtures import candidate, candidate_list, item_id

MAIL = Placement("home-top", plain_items=False, quiet_hours=QuietHours(0, 0))
LISTED = candidate_list([candidate(row, 1 - place / 10) for place, row in enumerate((7, 3, 11))])


def judge(
    served: Snapshot, who: Customer, query: Query, placement: Placement = MAIL, offer_id: str = "o", consent: str = ""
) -> Suited | TraceRule:
    asked = AudienceQuery(placement, placement.rebuys, served.offers.get(offer_id), consent_category=consent)
    return AudienceDecision(served, asked).judge(query, who)


@given(shop=CATALOGS, who=CUSTOMERS, asked=QUERIES, rebuys=st.sampled_from(Rebuys))
def test_an_audience_holds_whom_a_slate_would_show_the_offer_on_an_item_of_their_list(
    shop: Catalog, who: Customer, asked: Query, rebuys: Rebuys
) -> None:
    placement = replace(MAIL, rebuys=rebuys)
    query = asked._replace(
        slates=[SlateQuery(placement, 1)], context_item_ids=(), excluded_item_ids=(), excluded_offer_ids=()
    )
    own = set(who.candidates.candidates["row"].tolist()) if who.candidates is not None else set()
    for offer in shop.offers.values():
        served = snapshot(MODEL, replace(shop, offers={offer.offer_id: offer}))
        indexed = served.offers.get(offer.offer_id)
        if indexed is None or offer.fallback:
            continue
        shown = [choice for choice in decide(served, query, who)[0] if served.slots.find(choice.item_id) in own]
        found = judge(served, who, query, placement, offer.offer_id)
        if isinstance(found, Suited):
            assert [(choice.item_id, choice.score, choice.reasons) for choice in shown] == [tuple(found)]
        else:
            assert shown == []


def test_an_item_alone_needs_no_offer_and_comes_with_its_reason() -> None:
    bread = candidate_list([candidate(7, 0.5, evidence=0)], evidence_rows=[3])
    asked = AudienceQuery(MAIL, Rebuys.LATER, item_id=item_id(7))
    found = AudienceDecision(snapshot(), asked).judge(Query([], NOW.timestamp()), customer(bread))
    assert isinstance(found, Suited)
    assert (found.item_id, found.score) == (item_id(7), 0.5)
    assert [reason.code for reason in found.reasons] == [ReasonCode.BOUGHT]


def test_the_first_rule_that_leaves_somebody_out_is_told() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(7), item_id(3)))]))
    query = Query([], NOW.timestamp(), channel="push")
    bought = customer(LISTED, did("purchase", 7), did("purchase", 3))
    assert judge(served, bought, query) is TraceRule.BOUGHT
    assert judge(served, customer(LISTED, did("dismiss", offer_id="o")), query) is TraceRule.DISMISSED
    assert judge(served, customer(), query) is TraceRule.ITEMS
    assert judge(served, customer(LISTED), query, consent="news") is TraceRule.CONSENT
    resting = replace(MAIL, quiet_hours=QuietHours())
    night = query._replace(now=(NOW + timedelta(hours=11)).timestamp())
    assert judge(served, customer(LISTED), night, resting) is TraceRule.QUIET_HOURS
    assert isinstance(judge(served, customer(LISTED), night._replace(utc_offset=-12 * 3600), resting), Suited)


def test_who_bought_the_best_item_is_worth_the_next_one() -> None:
    served = snapshot(shop=catalog([Offer("o", (item_id(7), item_id(3)))]))
    query = Query([], NOW.timestamp())
    found = judge(served, customer(LISTED, did("purchase", 7)), query)
    assert isinstance(found, Suited)
    assert found.item_id == item_id(3)
