"""JSON over HTTP says the same as gRPC, and no page can use it unasked."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.store.embedded import EmbeddedRedis
from tests.engines.json_calls import JSON, METHODS, Answer, ask, by_grpc, by_json, rule_of
from tests.models_fixtures import candidate, candidate_list, item_model
from tests.server_fixtures import RunningServer, publish_model, running_server, wait_until

SHOP = "https://shop.example"
OWN_TO_EACH_CALL = re.compile(r'"(requestId|catalogVersion|receiptId|[a-zA-Z]*Time)": "[^"]*"')

REQUESTS: dict[str, dict[str, Any]] = {
    "RecommendOffers": {"customer_id": "ada", "placements": ["default"], "page_size": 3, "explain": True},
    "BatchRecommendOffers": {"customer_ids": ["ada", "bob"], "placement": "default"},
    "ListSimilarItems": {"item_id": "item-001", "page_size": 3},
    "RankItems": {"customer_id": "ada", "item_ids": ["item-007", "unknown"]},
    "PreviewPlacements": {"placements": [{"placement": "seen", "size": 2}], "customer_ids": ["ada"]},
    "RecordEvents": {
        "events": [
            {
                "event_id": "1-{way}",
                "customer_id": "bob",
                "event_type": "view",
                "item_id": "item-003",
                "event_time": "2026-01-01T00:00:00Z",
            }
        ]
    },
    "UpsertItems": {
        "items": [{"item_id": "item-007", "title": "Tea", "price": {"minor_units": "199", "currency_code": "EUR"}}]
    },
    "ListItems": {"page_size": 2},
    "DeleteItems": {"item_ids": ["gone"]},
    "UpsertOffers": {"offers": [{"offer_id": "cheap-tea", "title": "Cheap tea", "item_ids": ["item-007"]}]},
    "ListOffers": {},
    "DeleteOffers": {"offer_ids": ["gone"]},
    "UpsertPlacements": {"placements": [{"placement": "cart-side", "size": 4}]},
    "ListPlacements": {"page_size": 10},
    "ListPlacementVersions": {"placement": "cart-side"},
    "DeletePlacements": {"placements": ["gone"]},
    "UpsertAudiences": {"audiences": [{"audience_id": "loyal", "customer_ids": ["ada"]}]},
    "ListAudiences": {},
    "DeleteAudiences": {"audience_ids": ["gone"]},
    "UpsertExperiments": {
        "experiments": [
            {"experiment_id": "tried", "placements": ["cart-side"], "arms": [{"arm": "control"}, {"arm": "other"}]}
        ]
    },
    "ListExperiments": {},
    "DeleteExperiments": {"experiment_ids": ["gone"]},
    "UpsertTriggers": {"triggers": [{"trigger": "price-cut", "kind": "TRIGGER_KIND_DISCOUNT"}]},
    "ListTriggers": {},
    "DeleteTriggers": {"triggers": ["gone"]},
    "UpsertCustomers": {"customers": [{"customer_id": "a/b: c?d%e+f-{way}", "language": "de"}]},
    "GetCustomer": {"customer_id": "a/b: c?d%e+f", "placements": ["default"]},
    "LinkIdentities": {"customer_id": "eve-{way}", "alias_ids": ["cookie/{way}"]},
    "UnlinkIdentities": {"customer_id": "eve:{way}", "alias_ids": ["cookie/{way}"]},
    "EraseCustomer": {"customer_id": "mallory:erase-{way}"},
    "GetServedModel": {},
    "ListGenerations": {},
    "PromoteModel": {"model_version": "unknown"},
    "RollBackModel": {},
    "HoldModel": {"model_version": "unknown"},
    "ReleaseModel": {"model_version": "unknown"},
    "LeasePushes": {"page_size": 5, "visibility": "60s"},
    "AcknowledgePushes": {"acknowledgements": [{"push_id": "p-unknown", "outcome": "PUSH_OUTCOME_SENT"}]},
    "ListPushes": {"page_size": 5},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("json")
    settings = {"web_origins": [SHOP], "access_log": directory / "access.log", "maximal_request_bytes": 64 * 1024}
    with EmbeddedRedis(directory / "redis") as redis:
        publish_model(redis.url, directory, item_model(), {"ada": candidate_list([candidate(7, 1.0)])})
        with running_server(directory / "server", redis.url, engine="envoy", **settings) as running:
            yield running


def said(answer: object, way: str) -> object:
    """Give an answer without what is never twice the same."""
    return json.loads(OWN_TO_EACH_CALL.sub(r'"\1": ""', json.dumps(answer).replace(way, "")))


def sent_by(way: str, name: str) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(json.dumps(REQUESTS[name]).replace("{way}", way))
    return request


@pytest.mark.parametrize("name", METHODS)
def test_every_method_but_those_that_stream_both_ways_has_a_path(name: str) -> None:
    rule = rule_of(METHODS[name])
    if METHODS[name].client_streaming:
        assert rule is None
    else:
        assert rule is not None
        assert rule[1].startswith("/v1/")


def test_no_path_leads_to_two_methods() -> None:
    rules = [re.sub(r"\{\w+\}", "*", " ".join(rule)) for method in METHODS.values() if (rule := rule_of(method))]
    assert len(rules) == len(set(rules))


@pytest.mark.parametrize(
    "name", [name for name, method in METHODS.items() if not (method.client_streaming or method.server_streaming)]
)
def test_json_and_grpc_answer_the_same(server: RunningServer, name: str) -> None:
    with server.channel() as channel:
        expected = by_grpc(channel, name, sent_by("by-grpc", name))
    answer = by_json(server.address, name, sent_by("by-json", name))
    assert said(answer.read_as(name), "by-json") == said(expected, "by-grpc")
    assert answer.headers["content-type"] == "application/json"
    assert answer.status == {None: 200, 5: 404, 9: 400}[expected.get("code")]


def test_a_stream_is_a_line_for_each_message(server: RunningServer) -> None:
    answer = by_json(server.address, "FindAudience", {"item_id": "item-007", "placement": "default", "limit": 3})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.status == 200
    assert [customer["customerId"] for line in lines for customer in line.get("batch", {}).get("customers", [])] == [
        "ada"
    ]
    assert "summary" in lines[-1]


def violated(answer: Answer) -> list[str]:
    """Give the fields that a refusal names."""
    return [one["field"] for detail in answer.body["details"] for one in detail.get("fieldViolations", [])]


def test_a_bad_field_is_named_as_by_grpc(server: RunningServer) -> None:
    answer = by_json(server.address, "UpsertItems", {"items": [{"item_id": "ok"}, {"item_id": ""}]})
    assert (answer.status, answer.body["code"], violated(answer)) == (400, 3, ["items[1].item_id"])


@pytest.mark.parametrize(
    ("verb", "path", "body", "names"),
    [
        ("POST", "/v1/offers:recommend", b'{"pageSize": "many"}', "page_size"),
        ("POST", "/v1/offers:recommend", b'{"excludedItemIds": [{}]}', "excluded_item_ids"),
        ("POST", "/v1/offers:recommend", b"{", ""),
        ("GET", "/v1/items?page_size=many", b"", "page_size"),
        ("GET", "/v1/items?pagesize=1", b"", "pagesize"),
    ],
)
def test_what_cannot_be_translated_is_refused_in_words(
    server: RunningServer, verb: str, path: str, body: bytes, names: str
) -> None:
    answer = ask(server.address, verb, path, body, JSON)
    assert (answer.status, answer.body["code"]) == (400, 3)
    assert answer.body["details"][0]["reason"] == "MALFORMED_REQUEST"
    assert names in answer.body["message"]


@pytest.mark.parametrize(("verb", "path"), [("GET", "/v1/nothing"), ("DELETE", "/v1/customers/ada"), ("GET", "/v1/")])
def test_an_unknown_path_is_not_found(server: RunningServer, verb: str, path: str) -> None:
    answer = ask(server.address, verb, path)
    assert (answer.status, answer.body["code"]) == (404, 5)
    assert answer.body["details"][0]["reason"] == "UNKNOWN_PATH"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_what_any_page_may_send_unasked_changes_nothing(server: RunningServer, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = ask(server.address, "POST", "/v1/customers/victim:erase", b"{}", headers)
    assert answer.status == 415
    assert "application/json" in answer.body["message"]


def test_the_deadline_holds(server: RunningServer) -> None:
    answer = by_json(server.address, "ListItems", {}, **{"grpc-timeout": "1n"})
    assert (answer.status, answer.body["code"]) == (504, 4)


def test_large_requests_are_refused(server: RunningServer) -> None:
    answer = by_json(server.address, "UpsertItems", {"items": [{"item_id": "a", "title": "x" * 70_000}]})
    assert (answer.status, answer.body["code"]) == (413, 8)
    assert answer.body["details"][0]["reason"] == "REQUEST_TOO_LARGE"


def test_pages_of_allowed_origins_may_call(server: RunningServer) -> None:
    asked = {"origin": SHOP, "access-control-request-method": "GET", "access-control-request-headers": "content-type"}
    preflight = ask(server.address, "OPTIONS", "/v1/offers:recommend", headers=asked)
    assert preflight.status == 200
    assert preflight.headers["access-control-allow-methods"] == "GET,POST"
    answer = by_json(server.address, "RecommendOffers", REQUESTS["RecommendOffers"], origin=SHOP)
    assert answer.headers["access-control-allow-origin"] == SHOP


def test_the_access_log_holds_no_id_from_a_path(server: RunningServer) -> None:
    log = server.log.parents[1] / "access.log"
    for path in ("/v1/customers/secretive", "/v1/customers/secretive?wrong=1", "/v1/wrong/secretive"):
        ask(server.address, "GET", path)
    wait_until(lambda: log.read_text().count('"method":"/v1/"') >= 2)
    assert '"method":"/dangol.v1.CustomerService/GetCustomer"' in log.read_text()
    assert "secretive" not in log.read_text()


def test_a_server_can_do_without(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, engine="envoy", json_calls=False) as server:
        assert by_json(server.address, "ListItems", {}).status == 415
        with server.channel() as channel:
            assert "served" in by_grpc(channel, "RecommendOffers", REQUESTS["RecommendOffers"])
