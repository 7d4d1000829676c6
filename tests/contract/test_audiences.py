"""Whom FindAudience finds, against the same question put to every list."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from dangol.client import AsyncClient, Client, InvalidRequestError, NotFoundError, RefusedError
from dangol.client.audiences import AudienceQuestion
from dangol.v1 import catalog_pb2
from dangol.v1.audience_service_pb2 import AudienceCustomer, AudienceSummary
from dangol.v1.catalog_pb2 import REBUYS_REFUSED, Audience, ItemFilter, Offer, Placement, QuietHours
from dangol.v1.customer_pb2 import CONSENT_STATUS_GRANTED, Consent, Customer
from dangol.v1.event_pb2 import Event
from dangol.v1.offer_service_pb2 import TraceRule
from models.candidates import CandidateList
from service.store.candidate_codec import digest_of
from service.store.embedded import EmbeddedRedis
from tests.models_fixtures import candidate, candidate_list, item_id, item_model
from tests.server_fixtures import ENGINES, RunningServer, publish_model, running_server

ITEMS = 20
CUSTOMERS = 700
"""More than one read and one message hold."""
PEOPLE = [f"customer-{number:03d}" for number in range(CUSTOMERS)]
TOMORROW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)


def random_list(randomness: np.random.Generator) -> CandidateList:
    rows = randomness.choice(ITEMS, 6, replace=False)
    scores = np.sort(randomness.integers(-8, 8, 6) / 8)[::-1]  # few values: many customers with the same score
    pairs = zip(rows.tolist(), scores.tolist(), strict=True)
    return candidate_list([candidate(row, score, bought=row % 5 == 0) for row, score in pairs])


LISTS = {name: random_list(np.random.default_rng(number)) for number, name in enumerate(PEOPLE)}


def brute_force(*rows: int, people: Sequence[str] = PEOPLE) -> list[tuple[str, float, str]]:
    """Look at every list: customers with one of the items, each with the best of them, best first."""
    found = []
    for name in people:
        best = next((one for one in LISTS[name].candidates.tolist() if one[0] in rows), None)
        if best is not None:
            digest = int.from_bytes(digest_of(name), "little")
            found.append((-best[1], digest, name, item_id(best[0])))
    return [(name, -score, item) for score, _, name, item in sorted(found)]


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("audiences")
    with EmbeddedRedis(directory / "redis") as redis:
        publish_model(redis.url, directory, item_model(ITEMS), LISTS)
        with running_server(directory / "server", redis.url, engine=request.param, read_timeout=1.0) as running:
            yield running


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.address, timeout=10) as opened:
        opened.upsert_placements([Placement(placement="push"), Placement(placement="mail")])
        yield opened


def find(
    client: Client, placement: str = "mail", **asked: Unpack[AudienceQuestion]
) -> tuple[list[AudienceCustomer], AudienceSummary]:
    """Ask, and give everybody who was found, and the summary."""
    responses = list(client.find_audience(placement, timeout=30, **asked))
    assert responses[-1].WhichOneof("content") == "summary"
    found = [customer for response in responses for customer in response.batch.customers]
    summary = responses[-1].summary
    assert summary.found_count == len(found)
    assert summary.considered_count == len(found) + sum(one.count for one in summary.left_out_counts)
    return found, summary


def names_in(found: Sequence[AudienceCustomer]) -> list[str]:
    return [customer.customer_id for customer in found]


def left_out(summary: AudienceSummary) -> dict[str, int]:
    return {TraceRule.Name(one.rule).removeprefix("TRACE_RULE_"): one.count for one in summary.left_out_counts}


@pytest.mark.parametrize("rows", [(7,), (3, 8, 12), tuple(range(ITEMS))], ids=str)
def test_the_customers_found_are_those_that_brute_force_finds(client: Client, rows: tuple[int, ...]) -> None:
    client.upsert_offers([Offer(offer_id="on", item_ids=[item_id(row) for row in rows])])
    found, summary = find(client, offer_id="on")
    expected = brute_force(*rows)
    assert [(one.customer_id, one.score, one.item_id) for one in found] == expected
    assert [one.rank for one in found] == list(range(1, len(expected) + 1))
    assert (summary.candidate_count, summary.resume_token) == (len(expected), "")


def test_a_filter_covers_whatever_the_catalogue_says(client: Client) -> None:
    items = [catalog_pb2.Item(item_id=item_id(row), category="wine" if row in (4, 9) else "") for row in range(ITEMS)]
    client.upsert_items(items)
    client.upsert_offers([Offer(offer_id="wine", item_filter=ItemFilter(categories=["wine"]))])
    assert names_in(find(client, offer_id="wine")[0]) == [name for name, _, _ in brute_force(4, 9)]


def test_an_item_is_asked_for_without_an_offer_and_says_why_it_suits(client: Client) -> None:
    found, _ = find(client, item_id=item_id(7), limit=3)
    assert [(one.customer_id, one.score, one.item_id) for one in found] == brute_force(7)[:3]
    assert all(one.reasons for one in found)


def test_nobody_below_the_least_score_is_found(client: Client) -> None:
    found, summary = find(client, item_id=item_id(7), minimal_score=0.25)
    assert names_in(found) == [name for name, score, _ in brute_force(7) if score >= 0.25]
    assert summary.resume_token == ""


@pytest.mark.parametrize("rows", [(7,), (3, 8, 12)], ids=str)
def test_an_answer_in_pieces_is_the_answer_in_one(client: Client, rows: tuple[int, ...]) -> None:
    client.upsert_offers([Offer(offer_id="pieces", item_ids=[item_id(row) for row in rows])])
    pieces: list[AudienceCustomer] = []
    token = ""
    while not pieces or token:
        found, summary = find(client, offer_id="pieces", limit=70, resume_token=token)
        pieces += found
        token = summary.resume_token
    assert [(one.customer_id, one.score, one.item_id) for one in pieces] == brute_force(*rows)
    assert [one.rank for one in pieces] == list(range(1, len(pieces) + 1))


def test_who_bought_an_item_is_found_for_the_next_best_and_in_its_place(client: Client) -> None:
    rows = (5, 6)  # whoever has item 5 in the list bought it before the training
    client.upsert_offers([Offer(offer_id="rebuy", item_ids=[item_id(row) for row in rows])])
    found, summary = find(client, offer_id="rebuy", rebuys=REBUYS_REFUSED)
    only_bought = [name for name, _, _ in brute_force(5) if name not in {one for one, _, _ in brute_force(6)}]
    assert [(one.customer_id, one.score, one.item_id) for one in found] == brute_force(6)
    assert left_out(summary) == {"BOUGHT": len(only_bought)}
    pieces, rest = find(client, offer_id="rebuy", rebuys=REBUYS_REFUSED, limit=50)
    further, _ = find(client, offer_id="rebuy", rebuys=REBUYS_REFUSED, resume_token=rest.resume_token)
    assert names_in(pieces + further) == names_in(found)


def test_each_rule_leaves_out_whom_it_is_about_and_is_counted(client: Client) -> None:
    eleven = [name for name, _, _ in brute_force(11)]
    buyer, dismisser, sated, stranger, *others = eleven
    client.upsert_audiences([Audience(audience_id="mailed", customer_ids=[stranger])])
    granted = [Consent(category="news", status=CONSENT_STATUS_GRANTED)]
    client.upsert_customers([Customer(customer_id=name, consents=granted) for name in eleven if name != others[0]])
    cap = catalog_pb2.Cap(maximal_count=1, event=catalog_pb2.CAP_EVENT_CLICK)
    client.upsert_offers([Offer(offer_id="ruled", item_ids=[item_id(11)], consent_category="news", caps=[cap])])
    at = Timestamp()
    at.FromDatetime(datetime.now(UTC))
    client.record_events(
        [
            Event(event_id="b", customer_id=buyer, event_type="purchase", item_id=item_id(11), event_time=at),
            Event(event_id="d", customer_id=dismisser, event_type="dismiss", item_id=item_id(11), event_time=at),
            Event(event_id="c", customer_id=sated, event_type="click", offer_id="ruled", event_time=at),
        ]
    )
    found, summary = find(client, offer_id="ruled", excluded_audience_ids=["mailed"])
    assert names_in(found) == others[1:]
    assert left_out(summary) == {"BOUGHT": 1, "DISMISSED": 1, "CAP": 1, "EXCLUDED": 1, "CONSENT": 1}
    members, summary = find(client, item_id=item_id(11), audience_ids=["mailed"], consent_category="news")
    assert names_in(members) == [stranger]
    assert left_out(summary) == {"AUDIENCE": len(eleven) - 1}


def test_quiet_hours_go_by_the_clock_of_each_customer(client: Client) -> None:
    thirteen = [name for name, _, _ in brute_force(13)]
    client.upsert_customers([Customer(customer_id=thirteen[0], time_zone="Pacific/Auckland")])
    asked: AudienceQuestion = {"item_id": item_id(13), "channel": "push", "send_time": TOMORROW}
    found, summary = find(client, "push", **asked)
    assert names_in(found) == thirteen[1:]
    assert left_out(summary) == {"QUIET_HOURS": 1}
    elsewhere: AudienceQuestion = {**asked, "time_zone": "Pacific/Auckland"}
    assert names_in(find(client, "push", **elsewhere)[0]) == []
    client.upsert_placements([Placement(placement="push", quiet_hours=QuietHours())])
    assert names_in(find(client, "push", **asked)[0]) == thirteen
    client.upsert_placements([Placement(placement="push")])


def test_a_customer_of_several_ids_is_found_once_and_an_erased_one_never(client: Client) -> None:
    fourteen = [name for name, _, _ in brute_force(14)]
    one, other, erased, *others = fourteen
    client.link_identities(one, [other])
    client.erase_customer(erased)
    found, _ = find(client, item_id=item_id(14))
    assert sorted(names_in(found)) == sorted([min(one, other), *others])


def test_lists_are_read_anew_when_they_are_older_than_they_may_be(client: Client) -> None:
    find(client, item_id=item_id(7))
    responses = client.find_audience("mail", item_id=item_id(7), limit=1)
    assert [one.WhichOneof("content") for one in responses] == ["batch", "summary"]
    with pytest.raises(InvalidRequestError, match="maximal_age"):
        find(client, item_id=item_id(7), maximal_age=timedelta(0))


def test_the_asyncio_client_finds_the_same(server: RunningServer, client: Client) -> None:
    async def ask() -> list[str]:
        async with AsyncClient(server.address) as opened:
            responses = opened.find_audience("mail", item_id=item_id(7), timeout=30)
            return [one.customer_id async for response in responses for one in response.batch.customers]

    assert asyncio.run(ask()) == names_in(find(client, item_id=item_id(7))[0])


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "offer_id"),
        ({"item_id": "item-007", "limit": -1}, "limit"),
        ({"item_id": "item-007", "placement": "No Kebab"}, "placement"),
        ({"item_id": "item-007", "channel": "No Kebab"}, "channel"),
        ({"item_id": "item-007", "minimal_score": float("nan")}, "minimal_score"),
        ({"item_id": "item-007", "rebuys": 99}, "rebuys"),
        ({"item_id": "item-007", "time_zone": "Asia/Nowhere"}, "time_zone"),
        ({"item_id": "item-007", "consent_category": "No Kebab"}, "consent_category"),
        ({"item_id": "item-007", "send_time": datetime(2020, 1, 1, tzinfo=UTC)}, "send_time"),
        ({"item_id": "item-007", "resume_token": "nonsense"}, "resume_token"),
        ({"item_id": "item-007", "audience_ids": [""]}, r"audience_ids\[0\]"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused_by_name(client: Client, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"^{field}: "):
        find(client, **asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"item_id": "nothing"},
        {"offer_id": "nothing"},
        {"item_id": "item-007", "placement": "nowhere"},
        {"item_id": "item-007", "audience_ids": ["nobody"]},
    ],
    ids=str,
)
def test_what_does_not_exist_is_not_found(client: Client, asked: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError):
        find(client, **asked)


def test_an_offer_that_nobody_may_see_there_is_refused_with_the_reason(client: Client) -> None:
    paused = Offer(offer_id="paused", item_ids=[item_id(1)], status=catalog_pb2.OFFER_STATUS_PAUSED)
    elsewhere = Offer(offer_id="elsewhere", item_ids=[item_id(1)], placements=["home-top"])
    client.upsert_offers([paused, elsewhere])
    with pytest.raises(RefusedError, match="paused is not live"):
        find(client, offer_id="paused")
    with pytest.raises(RefusedError, match="elsewhere is not for this placement"):
        find(client, offer_id="elsewhere")


def test_a_token_belongs_to_its_question(client: Client) -> None:
    _, summary = find(client, item_id=item_id(7), limit=1)
    with pytest.raises(InvalidRequestError, match="another question"):
        find(client, item_id=item_id(8), resume_token=summary.resume_token)
