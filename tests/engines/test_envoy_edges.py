import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.engines.envoy.frames import frame
from tests.server_fixtures import RunningServer, running_server, wait_until

pytestmark = pytest.mark.xdist_group("edges")  # what they share is dear

CHECK = "/grpc.health.v1.Health/Check"
SHOP = "https://shop.example"
SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING).SerializeToString()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, shop_url: str) -> Iterator[RunningServer]:
    """Run a server that lets one shop's pages call and writes an access log."""
    directory = tmp_path_factory.mktemp("edges")
    settings = {"web_origins": [SHOP], "access_log": directory / "access.log", "maximal_connection_age": 1.0}
    with running_server(directory, shop_url, engine="envoy", **settings) as running:
        yield running


def ask(
    server: RunningServer, method: str, body: bytes = b"", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(server.address, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, CHECK, body, named)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_a_page_of_an_allowed_origin_may_ask_first(server: RunningServer) -> None:
    response, _ = ask(server, "OPTIONS", origin=SHOP, access_control_request_method="POST")
    assert response.status == 200
    assert response.getheader("access-control-allow-origin") == SHOP
    assert "grpc-timeout" in (response.getheader("access-control-allow-headers") or "")


def test_a_page_of_another_origin_is_allowed_nothing(server: RunningServer) -> None:
    response, _ = ask(server, "OPTIONS", origin="https://evil.example", access_control_request_method="POST")
    assert response.getheader("access-control-allow-origin") is None


def test_browsers_call_by_grpc_web(server: RunningServer) -> None:
    response, body = ask(
        server, "POST", frame(b""), origin=SHOP, content_type="application/grpc-web+proto", x_grpc_web="1"
    )
    assert response.status == 200
    assert response.getheader("access-control-allow-origin") == SHOP
    assert body.startswith(frame(SERVING))
    assert b"grpc-status:0" in body.replace(b" ", b"")


def test_what_is_no_grpc_is_not_answered_as_if_it_were(server: RunningServer) -> None:
    assert ask(server, "POST", b"{}", content_type="application/json")[0].status == 415
    assert ask(server, "GET")[0].status == 415


def written_lines(log: Path) -> list[str]:
    """Give the lines that are whole: Envoy writes what it has gathered, wherever that ends."""
    return log.read_text().split("\n")[:-1]


def test_every_request_stands_in_the_access_log(server: RunningServer) -> None:
    with server.channel() as channel, pytest.raises(grpc.RpcError):
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
    log = server.log.parent / "access.log"
    wait_until(lambda: any('"NotFound"' in line for line in written_lines(log)))
    line = json.loads(next(line for line in written_lines(log) if '"NotFound"' in line))
    assert line["method"] == CHECK
    assert line["http_status"] == 200


def test_connections_are_renewed_by_age_without_a_failed_call(server: RunningServer) -> None:
    log = server.log.parent / "access.log"
    with server.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        begun = len(written_lines(log))

        def peers() -> int:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
            return len({json.loads(line)["peer"] for line in written_lines(log)[begun:]})

        wait_until(lambda: peers() > 1)


def test_the_configuration_can_be_printed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "--home", str(tmp_path), "serve", "--print-envoy-config"]
    printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (listener,) = printed["static_resources"]["listeners"]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 7411}
    assert list(printed["admin"]["address"]) == ["pipe"]
