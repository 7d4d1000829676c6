from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import grpc
import pytest

from benchmarks.harness.bed import running_bed
from benchmarks.harness.shop import PLACEMENT
from dangol.client import Client, RefusedError
from tests.engines.json_calls import by_json
from tests.server_fixtures import ENGINES

# A frozen Redis holds the calls that are worked on for so long.
SETTINGS = {"maximal_calls": 2, "read_timeout": 10, "log_level": "warning"}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_full_server_refuses_says_when_to_come_again_and_health_is_answered(tmp_path: Path, engine: str) -> None:
    with (
        running_bed(tmp_path, settings={**SETTINGS, "engine": engine}) as bed,
        Client(bed.servers[0].address, timeout=60) as client,
        ThreadPoolExecutor(3) as executor,
    ):
        client.recommend_offers("customer-000001", PLACEMENT)
        bed.redis.freeze()
        calls = [executor.submit(client.recommend_offers, f"customer-{number:06d}", PLACEMENT) for number in range(3)]
        (refused,), others = wait(calls, 30, FIRST_COMPLETED)
        error = refused.exception()
        assert isinstance(error, RefusedError)
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert 0 < error.retry_delay < 1
        assert client.serving()
        bed.redis.thaw()
        assert all(call.result().slates for call in others)


def test_grpcio_turns_calls_away_that_too_many_wait_before(tmp_path: Path) -> None:
    with (
        running_bed(tmp_path, settings={"maximal_waiting": 1, "log_level": "warning", "engine": "grpcio"}) as bed,
        Client(bed.servers[0].address, timeout=60) as client,
        ThreadPoolExecutor(32) as executor,
    ):
        calls = [executor.submit(client.recommend_offers, "customer-000001", PLACEMENT) for _ in range(400)]
        errors = [call.exception(60) for call in calls]
        assert None in errors
        assert {error.code for error in errors if isinstance(error, RefusedError)} == {grpc.StatusCode.CANCELLED}
        assert {type(error) for error in errors} == {type(None), RefusedError}
        assert client.recommend_offers("customer-000001", PLACEMENT).slates


def test_what_envoy_refuses_says_the_same_to_callers_by_json(tmp_path: Path) -> None:
    with (
        running_bed(tmp_path, settings={**SETTINGS, "engine": "envoy"}) as bed,
        ThreadPoolExecutor(3) as executor,
    ):
        address = bed.servers[0].address
        request = {"customer_id": "customer-000001", "placements": [PLACEMENT]}
        assert by_json(address, "RecommendOffers", request).status == 200
        bed.redis.freeze()
        calls = [executor.submit(by_json, address, "RecommendOffers", request) for _ in range(3)]
        (refused,), others = wait(calls, 30, FIRST_COMPLETED)
        answer = refused.result()
        assert (answer.status, answer.body["code"]) == (429, 8)
        assert [detail.get("reason") or detail["retryDelay"] for detail in answer.body["details"]] == [
            "OVERLOADED",
            "0.200s",
        ]
        bed.redis.thaw()
        assert {call.result().status for call in others} == {200}
