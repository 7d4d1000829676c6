"""Real Redis servers for tests: private, on unix sockets or the loopback, started in milliseconds."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis

from service.store.connection import RedisSettings
from service.store.embedded import EmbeddedRedis, find_server

CLUSTER_SIZE = 3
SLOT_COUNT = 16_384


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


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Start a Cluster of three primaries for all tests of this process, and give their ports."""
    with ExitStack() as stack:
        ports = [
            stack.enter_context(tcp_redis(tmp_path_factory.mktemp("node"), "--cluster-enabled", "yes"))
            for _ in range(CLUSTER_SIZE)
        ]
        clients = [stack.enter_context(redis.Redis(port=port)) for port in ports]
        for number, client in enumerate(clients):
            slots = number * SLOT_COUNT // CLUSTER_SIZE, (number + 1) * SLOT_COUNT // CLUSTER_SIZE - 1
            client.execute_command("CLUSTER ADDSLOTSRANGE", *slots)
            bus_port = clients[0].config_get("cluster-port")["cluster-port"]
            client.execute_command("CLUSTER MEET", "127.0.0.1", ports[0], bus_port)
        deadline = time.monotonic() + 30
        while any(client.execute_command("CLUSTER INFO")["cluster_state"] != "ok" for client in clients):
            assert time.monotonic() < deadline, "the Cluster did not form"
            time.sleep(0.05)
        yield ports


@pytest.fixture
def redis_cluster_url(redis_cluster: list[int]) -> str:
    """Give the URL of a Cluster that is empty, functions included."""
    for port in redis_cluster:
        with redis.Redis(port=port) as client:
            client.flushall()
            client.function_flush()
    return "redis+cluster://" + ",".join(f"127.0.0.1:{port}" for port in redis_cluster)


@contextmanager
def tcp_redis(directory: Path, *options: str, port: int | None = None, server: str | None = None) -> Iterator[int]:
    """Run a Redis on a port of the loopback, a free one by default, and give the port; ``server`` is its program."""
    port = port or free_port()
    # The port of the cluster bus lies 10,000 above by default, which may be out of range: name a free one.
    bus = ("--cluster-port", str(free_port())) if "--cluster-enabled" in options else ()
    place = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory))
    process = subprocess.Popen([server or find_server(), *options, *bus, *place], stdout=subprocess.DEVNULL)
    try:
        wait_until_open(port)
        yield port
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """Give a port of the loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_open(port: int) -> None:
    """Wait until somebody listens on a port of the loopback."""
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "nobody listens"
        time.sleep(0.005)


def patient(url: str) -> RedisSettings:
    """Say how to reach a Redis that shares a busy machine with other tests: nothing here is about being quick."""
    return RedisSettings(url=url, connect_timeout=10.0, command_timeout=10.0, read_timeout=10.0)
