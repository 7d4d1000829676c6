"""One shop for the contract: a published model, a catalogue, and a server of each engine."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest

from service.store.embedded import EmbeddedRedis
from tests.models_fixtures import candidate, candidate_list, item_model
from tests.server_fixtures import ENGINES, RunningServer, publish_model, running_server


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Keep the tests of a module and engine on one worker: they share a server, which is dear to start."""
    for item in items:
        if isinstance(item, pytest.Function) and item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{_engine(item)}"))


def _engine(item: pytest.Function) -> str:
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return next((value for value in values if value in ENGINES), "any")


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Run a server of each engine on a Redis of its own."""
    directory = tmp_path_factory.mktemp("contract")
    with EmbeddedRedis(directory / "redis") as redis:
        own = candidate_list([candidate(7, 1.0), candidate(3, 0.9)])
        publish_model(redis.url, directory, item_model(neighbors={0: [(5, 0.5)]}), {"ada": own})
        settings = {
            "engine": request.param,
            "maximal_request_bytes": 64 * 1024,
            "maximal_response_bytes": 1 << 20,
            "read_timeout": 1.0,
        }
        with running_server(directory / "server", redis.url, **settings) as running:
            yield running


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    """Connect to the server of the contract."""
    with server.channel() as opened:
        yield opened
