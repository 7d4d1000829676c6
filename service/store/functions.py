"""The functions that run inside Redis: registered on first use, called by name."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis.exceptions import ResponseError

from service.store.address import Topology
from service.store.clients import Argument, AsyncClient, SyncClient
from service.store.connection import AsyncConnection, SyncConnection

_SOURCE = resources.files("service.store").joinpath("functions.lua").read_text(encoding="utf-8")
_HASH = hashlib.sha256(_SOURCE.encode()).hexdigest()[:12]
LIBRARY = f"#!lua name=dangol_{_HASH}\n" + _SOURCE.replace("_HASH", f"_{_HASH}")

RECORD_EVENTS = f"record_events_{_HASH}"
REFRESH_CANDIDATES = f"refresh_candidates_{_HASH}"
SET_ASIDE = f"set_aside_{_HASH}"
REPLAY = f"replay_{_HASH}"
SWAP = f"swap_{_HASH}"
APPLY_CATALOG = f"apply_catalog_{_HASH}"
COUNT_DECISIONS = f"count_decisions_{_HASH}"
RESERVE_UNITS = f"reserve_units_{_HASH}"
REDEEM_UNITS = f"redeem_units_{_HASH}"
CHANGE_GENERATIONS = f"change_generations_{_HASH}"
STORE_CUSTOMERS = f"store_customers_{_HASH}"
NAME_CUSTOMER = f"name_customer_{_HASH}"
LINK_CUSTOMERS = f"link_customers_{_HASH}"
UNLINK_CUSTOMERS = f"unlink_customers_{_HASH}"
BURY = f"bury_{_HASH}"
FORGET_LINK = f"forget_link_{_HASH}"
FORGET_CHANGES = f"forget_changes_{_HASH}"
ADD_PUSHES = f"add_pushes_{_HASH}"
LEASE_PUSHES = f"lease_pushes_{_HASH}"
GRANT_PUSH = f"grant_push_{_HASH}"
SETTLE_PUSH = f"settle_push_{_HASH}"
FORGET_PUSHES = f"forget_pushes_{_HASH}"
DROP_OVERDUE = f"drop_overdue_{_HASH}"


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """Is one call, whose keys all share a hash tag."""

    name: str
    keys: tuple[str, ...]
    arguments: tuple[Argument, ...]

    @property
    def command(self) -> tuple[Argument, ...]:
        """Give the words of the command."""
        return ("FCALL", self.name, len(self.keys), *self.keys, *self.arguments)


async def call(connection: AsyncConnection, function_call: FunctionCall) -> int:
    """Call a function that gives a number, as :func:`ask` does."""
    return int(await ask(connection, function_call))


async def ask(connection: AsyncConnection, function_call: FunctionCall) -> Any:  # noqa: ANN401 - as the function says
    """Call a function, registering the library first when this Redis does not have it. Errors are redis-py's.

    Only a call that Redis refused to begin, because it does not know the function, is sent a second time.
    """
    client, on_cluster = connection.client, connection.topology is Topology.CLUSTER
    options: dict[str, object] = {}
    if on_cluster:
        await client.initialize()
        options = _at(client, function_call)
    try:
        return await client.execute_command(*function_call.command, **options)
    except ResponseError as error:
        if not _is_unknown(error):
            raise
    await client.execute_command("FUNCTION LOAD", "REPLACE", LIBRARY, **_everywhere(on_cluster=on_cluster))
    return await client.execute_command(*function_call.command, **options)


def call_blocking(connection: SyncConnection, function_call: FunctionCall) -> int:
    """Do as :func:`call` does, blocking."""
    client, on_cluster = connection.client, connection.topology is Topology.CLUSTER
    options = _at(client, function_call) if on_cluster else {}
    try:
        return int(client.execute_command(*function_call.command, **options))
    except ResponseError as error:
        if not _is_unknown(error):
            raise
    client.execute_command("FUNCTION LOAD", "REPLACE", LIBRARY, **_everywhere(on_cluster=on_cluster))
    return int(client.execute_command(*function_call.command, **options))


def call_all_blocking(connection: SyncConnection, calls: Sequence[FunctionCall]) -> list[int]:
    """Call functions in one round trip, as :func:`call_blocking` does; the keys of each may have another hash tag."""
    try:
        return [int(result) for result in run_keyed(connection, [(call.keys[0], call.command) for call in calls])]
    except ResponseError as error:
        if not _is_unknown(error):
            raise
    # Redis began none of them: they are all of one library.
    return [call_blocking(connection, function_call) for function_call in calls]


def run_keyed(
    connection: SyncConnection, commands: Sequence[tuple[str, Sequence[Argument]]], **options: object
) -> list[Any]:
    """Run commands, each beside a key of its own, in one round trip; on a Cluster one after another.

    ``options`` say how redis-py reads the answers. Errors are redis-py's; the first one is raised after all commands
    were run.
    """
    client = connection.client
    if connection.topology is Topology.CLUSTER:
        # Told the node, redis-py need not ask a server which words of a command are keys.
        return [
            client.execute_command(*words, target_nodes=client.get_node_from_key(key), **options)
            for key, words in commands
        ]
    if not commands:
        return []
    pipeline = client.pipeline(transaction=False)
    for _, words in commands:
        pipeline.execute_command(*words, **options)
    return pipeline.execute()


def _is_unknown(error: ResponseError) -> bool:
    return "function not found" in str(error).lower()


def _at(client: AsyncClient | SyncClient, function_call: FunctionCall) -> dict[str, object]:
    """Name the node of a Cluster that a call goes to. redis-py would send the whole call twice to find out."""
    return {"target_nodes": client.get_node_from_key(function_call.keys[0])}


def _everywhere(*, on_cluster: bool) -> dict[str, object]:
    """Say that every primary of a Cluster takes the library."""
    return {"target_nodes": "primaries"} if on_cluster else {}
