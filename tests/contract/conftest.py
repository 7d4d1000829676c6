"""One shop for the contract: a published model, a catalogue, and a server of each engine."""

from collections.abc import Iterator

import grpc
import pytest

from service.store.embedded import EmbeddedRedis
from tests.models_fixtures import candidate, candidate_list, item_model
from tests.server_fixtures import ENGINES, RunningServer, publish_model, running_server


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Run a server of each engine on a Redis of its own."""
    directory = tmp_path_factory.mktemp("contract")
    with EmbeddedRedis(directory / "redis") as redis:
        own = candidate_list([candidate(7, 1.0), candidate(3, 0.9)])
        publish_model(redis.url, directory, item_model(neighbors={0: [(5, 0.5)]}), {"ada": own})
        settings = {"engine": request.param, "maximal_request_bytes": 64 * 1024, "maximal_response_bytes": 1 << 20}
        with running_server(directory / "server", redis.url, **settings) as running:
            yield running


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    """Connect to the server of the contract."""
    with server.channel() as opened:
        yield opened
