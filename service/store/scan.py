"""Walks over all keys without holding Redis up."""

from collections.abc import Iterator

from service.store.address import Topology
from service.store.connection import SyncConnection

COUNT = 1_000
"""Keys that one step looks at: about half a millisecond of Redis."""


def scan(connection: SyncConnection, pattern: str) -> Iterator[list[bytes]]:
    """Give the keys that fit a pattern, step by step; on a Cluster, of every primary. Errors are redis-py's."""
    if connection.topology is not Topology.CLUSTER:
        yield from _scan_node(connection, pattern, {})
        return
    for node in connection.client.get_primaries():
        yield from _scan_node(connection, pattern, {"target_nodes": node})


def profiled(connection: SyncConnection, tenant: str) -> Iterator[list[str]]:
    """Walk over the customers of a tenant who have a profile, step by step. Errors are redis-py's."""
    beginning = f"{tenant}:"
    for names in scan(connection, f"{tenant}:{{*}}:p:*"):
        found = (name.decode().removeprefix(beginning).partition("}:") for name in names)
        yield [rest.removeprefix("p:") for _, _, rest in found if rest.startswith("p:")]


def _scan_node(connection: SyncConnection, pattern: str, options: dict[str, object]) -> Iterator[list[bytes]]:
    cursor = 0
    while True:
        answer = connection.client.execute_command("SCAN", cursor, "MATCH", pattern, "COUNT", COUNT, **options)
        cursors, names = answer
        # A Cluster client gives the cursor by node.
        cursor = next(iter(cursors.values())) if isinstance(cursors, dict) else cursors
        yield names
        if cursor == 0:
            return
