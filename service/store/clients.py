"""What the store uses of redis-py's clients, with types that redis-py does not give."""

from collections.abc import Awaitable
from typing import Any, Protocol

Argument = bytes | str | int | float


class AsyncPipeline(Protocol):
    """Is what the store uses of redis-py's asyncio pipelines."""

    def execute_command(self, *arguments: Argument, **options: object) -> object:
        """Queue one command."""

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run what was queued, all on one connection; the results in order."""


class AsyncClient(Protocol):
    """Is what the store uses of redis-py's asyncio clients."""

    def execute_command(self, *arguments: Argument, **options: object) -> Awaitable[Any]:
        """Run one command."""

    def pipeline(self, transaction: bool = False) -> AsyncPipeline:
        """Begin a pipeline."""

    def initialize(self) -> Awaitable[object]:
        """Learn the nodes of a Cluster, unless they are known."""

    def get_node_from_key(self, key: str) -> object:
        """Find the node that holds a key; only on a Cluster that is initialized."""

    async def aclose(self) -> None:
        """Close every connection."""


class Pipeline(Protocol):
    """Is what the store uses of redis-py's pipelines."""

    def execute_command(self, *arguments: Argument, **options: object) -> object:
        """Queue one command."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run what was queued; the results in order."""


class SyncClient(Protocol):
    """Is what the store uses of redis-py's blocking clients."""

    def execute_command(self, *arguments: Argument, **options: object) -> Any:  # noqa: ANN401 - depends on the command
        """Run one command."""

    def pipeline(self, transaction: bool = False) -> Pipeline:
        """Begin a pipeline."""

    def get_node_from_key(self, key: str) -> object:
        """Find the node that holds a key; only on a Cluster."""

    def get_primaries(self) -> list[Any]:
        """List the primaries; only on a Cluster."""

    def close(self) -> None:
        """Close every connection."""
