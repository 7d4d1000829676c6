"""A shop that runs: Redis, the model published into it, and servers that answer from it."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.dangol_process import ServerProcess
from benchmarks.harness.proxy import TcpProxy
from benchmarks.harness.redis_process import RedisProcess
from benchmarks.harness.shop import Shop, catalog, write_shop
from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import publish
from service.store.catalog_store import apply_blocking
from service.store.connection import RedisSettings, connect_blocking
from service.store.generation_store import GenerationStore

TENANT = "local"


@dataclass(frozen=True, slots=True)
class Bed:
    """Holds what runs. ``proxy`` stands between the servers and Redis; everybody else reaches Redis directly."""

    home: Path
    shop: Shop
    redis: RedisProcess
    proxy: TcpProxy
    servers: list[ServerProcess]

    @property
    def target(self) -> str:
        """Name all servers to a client."""
        return "ipv4:" + ",".join(address for server in self.servers for address in server.addresses)


@contextlib.contextmanager
def running_bed(
    directory: Path, *, customers: int = 300, servers: int = 1, settings: Mapping[str, object] | None = None
) -> Iterator[Bed]:
    """Run a shop in an empty directory; the model of the first letter is served."""
    home = directory / "home"
    home.mkdir(parents=True)
    shop = write_shop(home, customers)
    with RedisProcess(directory / "redis") as redis, TcpProxy(redis.port) as proxy, contextlib.ExitStack() as stack:
        with connect_blocking(RedisSettings(redis.url)) as connection:
            apply_blocking(connection, TENANT, catalog())
            publish(Registry(home / "models"), None, GenerationStore(connection), TENANT, SilentProgress())
        started = [
            stack.enter_context(ServerProcess(home, f"server-{number}", proxy.url, settings))
            for number in range(servers)
        ]
        yield Bed(home, shop, redis, proxy, started)
