from collections.abc import Iterator

import pytest

from service.store.embedded import EmbeddedRedis
from tests.models_fixtures import candidate, candidate_list, item_model
from tests.server_fixtures import publish_model


@pytest.fixture(scope="session")
def shop_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Redis with a published model, for servers that only read, and give its URL."""
    directory = tmp_path_factory.mktemp("shop")
    with EmbeddedRedis(directory / "redis") as redis:
        publish_model(redis.url, directory, item_model(), {"ada": candidate_list([candidate(7, 1.0)])})
        yield redis.url
