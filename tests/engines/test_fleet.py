import json
import os
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from dangol.v1.offer_service_pb2 import RecommendOffersRequest
from dangol.v1.offer_service_pb2_grpc import OfferServiceStub
from models.errors import InvalidInputError
from service.settings import read_settings
from tests.server_fixtures import ENGINES, RunningServer, running_server, wait_until

ASK_ADA = RecommendOffersRequest(customer_id="ada", placements=["default"])


def told(server: RunningServer) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((server.log.parent / "ready.json").read_text())
    return facts


def answering_process(address: str) -> str:
    """Ask over a connection of its own, and give what names the process that answered."""
    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        answer = OfferServiceStub(channel).RecommendOffers(ASK_ADA, timeout=30, wait_for_ready=True)
    return answer.served.request_id.rpartition("-")[0]


def samples(server: RunningServer) -> dict[tuple[str, str], float]:
    """Give the values of the metrics by name and process."""
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=30) as page:
        families = list(text_string_to_metric_families(page.read().decode()))
    return {(sample.name, sample.labels["process"]): sample.value for family in families for sample in family.samples}


@pytest.mark.parametrize("engine", ENGINES)
def test_each_process_answers_on_a_port_of_its_own(tmp_path: Path, shop_url: str, engine: str) -> None:
    with running_server(tmp_path, shop_url, engine=engine, processes=2) as server:
        addresses = told(server)["addresses"]
        assert len(set(addresses)) == 2
        assert len({answering_process(address) for address in addresses}) == 2
        assert server.terminate() == 0
        assert not any(psutil.pid_exists(id_) for id_ in told(server)["process_ids"])


@pytest.mark.parametrize("engine", ENGINES)
def test_processes_may_share_one_port(tmp_path: Path, shop_url: str, engine: str) -> None:
    with running_server(tmp_path, shop_url, engine=engine, processes=2, share_port=True) as server:
        assert told(server)["addresses"] == [server.address]
        seen: set[str] = set()

        def both_have_answered() -> bool:
            seen.add(answering_process(server.address))
            return len(seen) == 2

        wait_until(both_have_answered)


def test_a_process_that_ends_by_itself_is_started_again_on_its_port(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, processes=2) as server:
        first = told(server)
        before = answering_process(first["addresses"][1])
        os.kill(first["process_ids"][1], signal.SIGKILL)
        assert answering_process(first["addresses"][1]) != before
        wait_until(lambda: samples(server)["dangol_process_restarts_total", "1"] == 1)
        assert samples(server)["dangol_process_restarts_total", "0"] == 0


def test_sighup_renews_one_process_after_the_other(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, processes=2) as server:
        first = told(server)
        os.kill(server.process_id, signal.SIGHUP)
        wait_until(lambda: set(told(server)["process_ids"]).isdisjoint(first["process_ids"]))
        renewed = told(server)
        assert renewed["addresses"] == first["addresses"]
        assert renewed["process_id"] == first["process_id"]
        assert all(answering_process(address) for address in renewed["addresses"])


def test_processes_end_when_their_supervisor_is_killed(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, processes=2) as server:
        members = [psutil.Process(id_) for id_ in told(server)["process_ids"]]
        os.kill(server.process_id, signal.SIGKILL)
        wait_until(lambda: not any(member.is_running() for member in members))


def test_one_page_shows_the_metrics_of_every_process(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, processes=2) as server:
        for address, times in zip(told(server)["addresses"], (1, 2), strict=True):
            for _ in range(times):
                answering_process(address)
        found = samples(server)
        assert [found["dangol_request_seconds_count", process] for process in "01"] == [1, 2]
        assert [found["dangol_process_up", process] for process in "01"] == [1, 1]


def test_what_keeps_a_process_from_starting_ends_the_fleet_with_its_name(tmp_path: Path, shop_url: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with (
            pytest.raises(AssertionError, match=f"port: cannot listen on 127.0.0.1:{taken}"),
            running_server(tmp_path, shop_url, processes=2, listen=f"127.0.0.1:{taken - 1}"),
        ):
            pass


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"processes": 0}, "processes"),
        ({"processes": 3, "listen": "127.0.0.1:65534"}, "settings"),
        ({"processes": 2, "envoy_admin": "127.0.0.1:9901"}, "settings"),
    ],
)
def test_numbers_of_processes_that_cannot_be_are_refused(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_settings(**given)
    assert caught.value.field == field
