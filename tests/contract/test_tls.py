"""TLS, and callers who must show a certificate, on every engine."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.store.embedded import EmbeddedRedis
from tests.contract.test_engines import status_of
from tests.server_fixtures import ENGINES, RunningServer, running_server

CERTIFICATES = Path(__file__).parent.parent / "store" / "certificates"
CERTIFICATE, KEY = CERTIFICATES / "certificate.pem", CERTIFICATES / "key.pem"


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Run a server of each engine that wants certificates of its callers."""
    directory = tmp_path_factory.mktemp("tls")
    settings = {"tls_certificate_file": CERTIFICATE, "tls_key_file": KEY, "tls_client_ca_file": CERTIFICATE}
    with (
        EmbeddedRedis(directory / "redis") as redis,
        running_server(directory / "server", redis.url, engine=request.param, **settings) as running,
    ):
        yield running


def check(server: RunningServer, credentials: grpc.ChannelCredentials | None) -> int:
    channel = grpc.secure_channel(server.address, credentials) if credentials else server.channel()
    with channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    return int(answer.status)


def test_a_caller_with_a_certificate_is_let_in(server: RunningServer) -> None:
    shown = (KEY.read_bytes(), CERTIFICATE.read_bytes())
    credentials = grpc.ssl_channel_credentials(CERTIFICATE.read_bytes(), *shown)
    assert check(server, credentials) == health_pb2.HealthCheckResponse.NOT_SERVING


def test_a_caller_without_a_certificate_is_not_let_in(server: RunningServer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        check(server, grpc.ssl_channel_credentials(CERTIFICATE.read_bytes()))
    assert status_of(caught.value)[0] is grpc.StatusCode.UNAVAILABLE


def test_a_caller_without_tls_is_not_let_in(server: RunningServer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        check(server, None)
    assert status_of(caught.value)[0] is grpc.StatusCode.UNAVAILABLE
