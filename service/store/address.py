"""Where Redis is: the URL that names a single server, a Sentinel group or a Cluster, taken apart."""

from dataclasses import dataclass
from enum import Enum
from urllib.parse import SplitResult, unquote, urlsplit

from models.errors import InvalidInputError

FIELD = "redis_url"
DEFAULT_PORTS = {"redis": 6379, "redis+sentinel": 26379, "redis+cluster": 6379}


class Topology(Enum):
    """Tells how the servers behind a URL belong together."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Address:
    """Is a Redis URL taken apart. ``nodes`` holds (host, port); it is empty when ``socket_path`` is set."""

    topology: Topology
    nodes: tuple[tuple[str, int], ...] = ()
    socket_path: str = ""
    encrypted: bool = False
    database: int = 0
    service_name: str = ""
    username: str = ""
    password: str = ""

    def __str__(self) -> str:
        """Describe the address without the password, fit for a log line."""
        where = self.socket_path or ",".join(f"{host}:{port}" for host, port in self.nodes)
        tls = " over TLS" if self.encrypted else ""
        return f"{self.topology.value} Redis at {where}{tls}"


def parse_address(url: str) -> Address:
    """Take a URL apart.

    ``redis://[user[:password]@]host[:port][/database]``, ``unix:///path/to/socket``,
    ``redis+sentinel://host:port,host:port/service[/database]``, ``redis+cluster://host:port,host:port``; ``rediss``
    in place of ``redis`` means TLS. Raises InvalidInputError, which never repeats the URL: it may hold a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidInputError(FIELD, "is not a URL") from error
    if parts.scheme == "unix":
        return _unix_address(parts)
    scheme = parts.scheme.replace("rediss", "redis", 1)
    if scheme not in DEFAULT_PORTS:
        raise InvalidInputError(
            FIELD, "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        )
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    topology, service_name, database = _path_of(scheme, parts.path)
    return Address(
        topology=topology,
        nodes=_nodes(hosts, DEFAULT_PORTS[scheme], single=topology is Topology.SINGLE),
        encrypted=parts.scheme.startswith("rediss"),
        database=database,
        service_name=service_name,
        username=unquote(username),
        password=unquote(password),
    )


def _unix_address(parts: SplitResult) -> Address:
    credentials, _, host = parts.netloc.rpartition("@")
    if host or not parts.path:
        raise InvalidInputError(FIELD, "must name an absolute path after unix://")
    username, _, password = credentials.partition(":")
    return Address(
        Topology.SINGLE, socket_path=unquote(parts.path), username=unquote(username), password=unquote(password)
    )


def _path_of(scheme: str, path: str) -> tuple[Topology, str, int]:
    """Read the path: ``/database`` of a single server, ``/service[/database]`` of Sentinel, nothing of a Cluster."""
    words = [unquote(word) for word in path.split("/") if word]
    topology = {"redis+sentinel": Topology.SENTINEL, "redis+cluster": Topology.CLUSTER}.get(scheme, Topology.SINGLE)
    service_name = ""
    if topology is Topology.SENTINEL:
        if not words:
            raise InvalidInputError(FIELD, "must name the Sentinel service after the hosts, as in /mymaster")
        service_name = words.pop(0)
    if topology is Topology.CLUSTER and words:
        raise InvalidInputError(FIELD, "must not name a database: a Cluster has only one")
    if len(words) > 1 or not all(word.isdecimal() for word in words):
        raise InvalidInputError(FIELD, "must name the database as one number")
    return topology, service_name, int(words[0]) if words else 0


def _nodes(hosts: str, default_port: int, *, single: bool) -> tuple[tuple[str, int], ...]:
    nodes = tuple(_node(host, default_port) for host in hosts.split(","))
    if single and len(nodes) > 1:
        raise InvalidInputError(FIELD, "names several hosts: say redis+sentinel:// or redis+cluster://")
    return nodes


def _node(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInputError(FIELD, "has a host or port that cannot be read") from error
    if not host:
        raise InvalidInputError(FIELD, "must name a host")
    return host, port or default_port
