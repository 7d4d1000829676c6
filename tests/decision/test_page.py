"""The page that takes a short way: it may differ from the whole decision in nothing."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from models.candidates import NO_EVIDENCE, VIEWED_FLAG, CandidateList, Source
from models.catalog import Catalog
from models.policy import PLAIN_POLICY
from service.decision.page import fill_page, is_page
from service.decision.query import Customer, Query, SlateQuery
from service.decision.slate import decide
from tests.decision.random_shops import CATALOGS, CUSTOMERS, MODEL, QUERIES, ROWS
from tests.decision.samples import HOME, NOW, customer, snapshot
from tests.models_fixtures import candidate, candidate_list

EVIDENCE = st.lists(st.tuples(ROWS, st.booleans()), max_size=4).map(
    lambda pairs: [row | VIEWED_FLAG if viewed else row for row, viewed in pairs]
)
LISTS = st.lists(
    st.tuples(ROWS, st.booleans(), st.sampled_from(Source), st.integers(0, 4) | st.just(NO_EVIDENCE)),
    unique_by=lambda entry: entry[0],
).flatmap(
    lambda entries: EVIDENCE.map(
        lambda evidence: candidate_list(
            [
                candidate(row, 1 - place / 50, source, evidence=index, bought=bought)
                for place, (row, bought, source, index) in enumerate(entries)
            ],
            evidence,
        )
    )
)


@settings(max_examples=150, deadline=None)
@given(shop=CATALOGS, query=QUERIES, who=CUSTOMERS, own=LISTS)
def test_a_page_holds_what_the_whole_decision_would(
    shop: Catalog, query: Query, who: Customer, own: CandidateList
) -> None:
    served, known = snapshot(MODEL, shop), who._replace(candidates=own)
    placement = replace(query.slates[0].placement, policy=PLAIN_POLICY)
    filled = []
    for size in range(len(own.candidates) + 2):
        asked = query._replace(slates=[SlateQuery(placement, size)], explain=False, context_item_ids=())
        assert is_page(asked)
        places = fill_page(served, asked, known)
        filled.append(places is not None)
        if places is not None:
            choices = decide(served, asked, known)[0]
            assert places == [(choice.pairing, choice.score, choice.reasons) for choice in choices]
    assert filled == sorted(filled, reverse=True), "a smaller page is filled where a larger one is"
    assert not filled[-1], "a page is never larger than the customer's own list"


def test_the_customers_own_list_fills_a_page_of_its_size_and_none_that_is_larger() -> None:
    own = candidate_list([candidate(row, 1 - row / 10) for row in range(3)])
    for size, is_filled in ((3, True), (4, False)):
        query = Query([SlateQuery(HOME, size)], NOW.timestamp())
        assert (fill_page(snapshot(), query, customer(own)) is not None) is is_filled


@given(query=QUERIES)
def test_whatever_else_is_asked_is_no_page(query: Query) -> None:
    others = query.explain or query.context_item_ids or len(query.slates) > 1
    assert not (others and is_page(query))
    assert not (is_page(query) and not query.slates[0].placement.policy.is_plain)
