"""What every engine is to the server. tests/contract says what every engine must do."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Metadata = Sequence[tuple[str, str | bytes]]


class Calls(Protocol):
    """Is what an engine needs of the dispatcher."""

    @property
    def unary_paths(self) -> frozenset[str]:
        """Names the methods for :meth:`dispatch`."""

    @property
    def stream_paths(self) -> frozenset[str]:
        """Names the methods for :meth:`stream`."""

    async def dispatch(self, path: str, request: bytes, metadata: Metadata, deadline: float | None) -> bytes:
        """Answer one call, or raise StatusError."""

    def stream(
        self, path: str, requests: AsyncIterator[bytes], metadata: Metadata, deadline: float | None
    ) -> AsyncIterator[bytes]:
        """Answer one streaming call, or raise StatusError."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Names PEM files. With ``client_ca_file`` only callers with a certificate of that authority are let in."""

    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Says where an engine listens and what it refuses. Sizes are bytes, times seconds.

    ``maximal_waiting`` bounds, where an engine can, the calls that have come in and are not begun.
    With ``share_port`` other processes of the same user may listen on the port too (SO_REUSEPORT).
    """

    host: str = "127.0.0.1"
    port: int = 0
    maximal_request_bytes: int = 4 * 1024 * 1024
    maximal_response_bytes: int = 16 * 1024 * 1024
    keepalive_time: float = 30.0
    keepalive_timeout: float = 10.0
    minimal_ping_interval: float = 10.0
    maximal_connection_age: float = 0.0
    maximal_streams: int = 1024
    maximal_waiting: int = 256
    share_port: bool = False
    tls: TlsSettings | None = None


class Engine(Protocol):
    """Is one transport."""

    async def start(self) -> int:
        """Listen, and give the port. InvalidInputError naming ``port`` when it cannot be had."""

    async def stop(self, grace: float) -> None:
        """Take no new calls, let those in flight finish for ``grace`` seconds, then end them."""
