import json
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from models.errors import InvalidInputError
from service.engines.envoy.process import check_port
from service.envoy_supervisor import supervise
from service.settings import Settings, hand_over, handed_over, read_settings
from tests.server_fixtures import RunningServer, running_server, wait_until


def envoy_of(server: RunningServer) -> psutil.Process:
    (envoy,) = [child for child in psutil.Process(server.process_id).children() if "envoy" in child.name()]
    return envoy


def test_sigterm_ends_envoy_and_the_supervisor_with_0(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, engine="envoy") as server:
        envoy = envoy_of(server)
        assert server.terminate() == 0
        assert not envoy.is_running()


def test_a_supervisor_does_not_outlive_its_envoy(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, engine="envoy") as server:
        envoy_of(server).kill()
        wait_until(lambda: server.process.exitcode is not None)
        assert server.process.exitcode == 1


def test_envoy_does_not_outlive_its_supervisor(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, engine="envoy") as server:
        envoy = envoy_of(server)
        os.kill(server.process_id, signal.SIGKILL)
        wait_until(lambda: not envoy.is_running() or envoy.status() == psutil.STATUS_ZOMBIE)


def test_health_is_off_before_the_last_call_is_taken(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, engine="envoy", drain_delay=2.0) as server, server.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=30)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        os.kill(server.process_id, signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert check.status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_nothing_but_calls_and_metrics_can_be_reached_by_network(tmp_path: Path, shop_url: str) -> None:
    with running_server(tmp_path, shop_url, engine="envoy") as server:
        processes = (envoy_of(server), psutil.Process(server.process_id))
        open_ports = {
            f"{connection.laddr.ip}:{connection.laddr.port}"
            for process in processes
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert open_ports == {server.address, server.metrics_address}


def test_a_port_that_is_taken_is_an_error_by_name() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InvalidInputError, match="cannot listen on"):
            check_port("127.0.0.1", other.getsockname()[1])


async def test_what_keeps_the_server_inside_from_starting_is_told_by_its_supervisor(
    tmp_path: Path, shop_url: str
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        settings = read_settings(home=tmp_path, listen="127.0.0.1:0", engine="envoy", metrics_listen=taken)
        with pytest.raises(InvalidInputError) as caught:
            await supervise(settings, shop_url)
    assert caught.value.field == "metrics_listen"


def test_settings_are_handed_over_whole_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings(
        log_hash_key="secret", home="here", extra_event_types=["shelf-scan"], web_origins=["https://shop.example"]
    )
    written = hand_over(settings, redis_url="unix:///redis.sock")
    for name in Settings.model_fields:
        monkeypatch.setenv(f"DANGOL_{name.upper()}", "nonsense")
    assert handed_over(written) == settings.model_copy(update={"redis_url": "unix:///redis.sock"})
    assert json.loads(written)["log_hash_key"] == "secret"
