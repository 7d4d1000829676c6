"""Clients for Redis: single, behind Sentinel, or a Cluster, with every timeout, retry and pool size set explicitly.

redis-py's own defaults (5 s timeouts, 10 retries) would make one read of a dead server take seconds.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, cast

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.credentials import CredentialProvider
from redis.retry import Retry
from redis.sentinel import Sentinel

from models.errors import InvalidInputError
from service.store.address import Address, Topology, parse_address
from service.store.clients import AsyncClient, SyncClient


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Says where Redis is and how long to wait for it. Times are seconds; no file means none is used.

    ``password_file`` is read at every connect, so a password can be changed while processes run; it stands above a
    password in the URL, as ``username`` stands above the user in it. Sentinels are asked without user and password
    unless they have their own. ``command_timeout`` bounds every command that
    has no timeout of its own; ``read_timeout`` the shared reads of customers, after which their connection is given up.
    """

    url: str = "redis://localhost:6379/0"
    username: str = ""
    password_file: Path | None = None
    sentinel_username: str = ""
    sentinel_password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    connect_timeout: float = 0.25
    command_timeout: float = 2.0
    read_timeout: float = 0.25
    pool_size: int = 16
    pool_wait: float = 0.02
    health_check_interval: int = 15


@dataclass(frozen=True, slots=True)
class AsyncConnection:
    """Holds an asyncio client and what is known of the servers behind it. Close it with :meth:`aclose`."""

    client: AsyncClient
    topology: Topology
    address: str
    sentinels: Sequence[AsyncClient] = ()

    async def aclose(self) -> None:
        """Close every connection."""
        for client in (self.client, *self.sentinels):
            await client.aclose()


@dataclass(frozen=True, slots=True)
class SyncConnection:
    """Holds a blocking client and what is known of the servers behind it. A context manager that closes it."""

    client: SyncClient
    topology: Topology
    address: str
    sentinels: Sequence[SyncClient] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        for client in (self.client, *self.sentinels):
            client.close()


class _Credentials(CredentialProvider):
    """Gives user and password, the latter from its file each time."""

    def __init__(self, username: str, password: str, password_file: Path | None) -> None:
        self._username = username
        self._password = password
        self._password_file = password_file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = self._password_file.read_text().rstrip("\r\n") if self._password_file else self._password
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()


def connect(settings: RedisSettings, *, timeout: float | None = None) -> AsyncConnection:
    """Make an asyncio client; it connects at its first command.

    ``timeout`` (seconds) bounds each command in place of ``settings.command_timeout``. InvalidInputError names the
    setting that cannot be used.
    """
    address = parse_address(settings.url)
    options = _options(settings, address, timeout or settings.command_timeout)
    client: object
    sentinels: Sequence[object] = ()
    if address.topology is Topology.CLUSTER:
        nodes = [AsyncClusterNode(host, port) for host, port in address.nodes]
        client = redis.asyncio.RedisCluster(
            startup_nodes=nodes, retry=_async_retry(), ssl=address.encrypted, **_cluster_options(settings, options)
        )
    elif address.topology is Topology.SENTINEL:
        options |= {"retry": _async_retry()}
        sentinel = AsyncSentinel(address.nodes, sentinel_kwargs=_sentinel_options(settings, address, options))
        sentinels = sentinel.sentinels
        client = sentinel.master_for(
            address.service_name,
            db=address.database,
            ssl=address.encrypted,
            max_connections=settings.pool_size,
            **options,
        )
    else:
        client = redis.asyncio.Redis.from_pool(
            redis.asyncio.BlockingConnectionPool(
                connection_class=_async_class(address),
                retry=_async_retry(),
                max_connections=settings.pool_size,
                timeout=settings.pool_wait,
                **_place(address, options),
            )
        )
    return AsyncConnection(
        cast("AsyncClient", client), address.topology, str(address), cast("Sequence[AsyncClient]", sentinels)
    )


def connect_blocking(settings: RedisSettings, *, timeout: float | None = None) -> SyncConnection:
    """Make a blocking client; arguments and errors as in :func:`connect`."""
    address = parse_address(settings.url)
    options = _options(settings, address, timeout or settings.command_timeout)
    client: object
    sentinels: Sequence[object] = ()
    if address.topology is Topology.CLUSTER:
        nodes = [ClusterNode(host, port) for host, port in address.nodes]
        client = redis.RedisCluster(
            startup_nodes=nodes, retry=_retry(), ssl=address.encrypted, **_cluster_options(settings, options)
        )
    elif address.topology is Topology.SENTINEL:
        options |= {"retry": _retry()}
        sentinel = Sentinel(address.nodes, sentinel_kwargs=_sentinel_options(settings, address, options))
        sentinels = sentinel.sentinels
        client = sentinel.master_for(address.service_name, db=address.database, ssl=address.encrypted, **options)
    else:
        client = redis.Redis.from_pool(
            redis.BlockingConnectionPool(
                connection_class=_blocking_class(address),
                retry=_retry(),
                max_connections=settings.pool_size,
                timeout=settings.pool_wait,
                **_place(address, options),
            )
        )
    return SyncConnection(
        cast("SyncClient", client), address.topology, str(address), cast("Sequence[SyncClient]", sentinels)
    )


def _retry() -> Retry:
    return Retry(NoBackoff(), 0)


def _async_retry() -> redis.asyncio.retry.Retry:
    return redis.asyncio.retry.Retry(NoBackoff(), 0)


def _async_class(address: Address) -> type[redis.asyncio.connection.AbstractConnection]:
    if address.socket_path:
        return redis.asyncio.UnixDomainSocketConnection
    return redis.asyncio.SSLConnection if address.encrypted else redis.asyncio.Connection


def _blocking_class(address: Address) -> type[redis.connection.AbstractConnection]:
    if address.socket_path:
        return redis.UnixDomainSocketConnection
    return redis.SSLConnection if address.encrypted else redis.Connection


def _options(settings: RedisSettings, address: Address, timeout: float) -> dict[str, Any]:
    """Give what every kind of connection takes."""
    options: dict[str, Any] = {
        "socket_connect_timeout": settings.connect_timeout,
        "socket_timeout": timeout,
        "health_check_interval": settings.health_check_interval,
        "credential_provider": _credentials(settings, address),
        # RESP2, so that Redis 7.0, newer ones and Valkey answer alike.
        "protocol": 2,
        "driver_info": None,
        # Shows who is connected. It also makes every connect end with an answer: without one, the session tickets of
        # TLS 1.3 lie unread on a new connection, and redis-py takes them for a reply left over.
        "client_name": "dangol",
    }
    if not address.socket_path:
        options |= {"socket_keepalive": True, "socket_keepalive_options": _keepalive()}
    if address.encrypted:
        options |= _tls_options(settings)
    return options


def _sentinel_options(settings: RedisSettings, address: Address, options: dict[str, Any]) -> dict[str, Any]:
    own = replace(address, username="", password="")
    asked = replace(settings, username=settings.sentinel_username, password_file=settings.sentinel_password_file)
    return options | {"ssl": address.encrypted, "credential_provider": _credentials(asked, own)}


def _place(address: Address, options: dict[str, Any]) -> dict[str, Any]:
    if address.socket_path:
        return options | {"path": address.socket_path}
    host, port = address.nodes[0]
    return options | {"host": host, "port": port, "db": address.database}


def _cluster_options(settings: RedisSettings, options: dict[str, Any]) -> dict[str, Any]:
    # The addresses given stay the way in, whatever names the nodes call each other by.
    return options | {"max_connections": settings.pool_size, "dynamic_startup_nodes": False}


def _credentials(settings: RedisSettings, address: Address) -> CredentialProvider | None:
    if settings.password_file is not None and not settings.password_file.is_file():
        raise InvalidInputError("redis_password_file", f"{settings.password_file} does not exist")
    username = settings.username or address.username
    if not username and not address.password and settings.password_file is None:
        return None
    return _Credentials(username, address.password, settings.password_file)


def _tls_options(settings: RedisSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    files = {
        "ssl_ca_certs": settings.ca_file,
        "ssl_certfile": settings.certificate_file,
        "ssl_keyfile": settings.key_file,
    }
    for option, path in files.items():
        if path is not None and not path.is_file():
            raise InvalidInputError("redis_tls", f"{path} does not exist")
        if path is not None:
            options[option] = str(path)
    return options


def _keepalive() -> dict[int, int]:
    """Notice a peer that vanished without a word after about 25 seconds of silence."""
    seconds = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
    return {getattr(socket, name): value for name, value in seconds.items() if hasattr(socket, name)}
