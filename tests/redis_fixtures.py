"""Real Redis servers for tests: private, on unix sockets, started in milliseconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.store.embedded import EmbeddedRedis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """Start one Redis for all tests of this process; ask for ``redis_url`` to find it empty."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis) -> str:
    """Give the URL of a Redis that is empty, functions included."""
    with redis.Redis(unix_socket_path=str(redis_server.socket_path)) as client:
        client.flushall()
        client.function_flush()
    return redis_server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """Start a Redis for one test alone, which may kill, freeze or refill it."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        yield server
