"""What all commands share: where things are kept, which server is asked, and the options that say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dangol.client import Client
    from models.registry import Registry

DEFAULT_HOME = Path(".dangol")
DEFAULT_ADDRESS = "127.0.0.1:7411"

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines, one document per line.")]
Address = Annotated[
    str, typer.Option("--address", "-a", envvar="DANGOL_ADDRESS", help="The server to ask.", metavar="HOST:PORT")
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.001, help="Seconds to wait for the answer, retries included.")
]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Says how to trust the server: paths of PEM files, or None."""

    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """Holds what the options before the command said. Every ``typer.Context.obj`` is one."""

    home: Path = DEFAULT_HOME
    tls: TlsFiles = field(default_factory=TlsFiles)

    def client(self, address: str, timeout: float) -> Client:
        """Make a client; ``timeout`` (seconds) holds for every call."""
        from dangol.client import Client, Tls

        files = self.tls
        tls = None
        if any((files.authorities, files.certificate, files.key, files.server_name)):
            tls = Tls(files.authorities, files.certificate, files.key, files.server_name)
        return Client(address, timeout=timeout, write_timeout=timeout, tls=tls)

    def registry(self) -> Registry:
        """Open the directory of models under the home."""
        from models.registry import Registry

        return Registry(self.home / "models")


def session_of(context: typer.Context) -> Session:
    """Give the session of a command."""
    found = context.obj
    return found if isinstance(found, Session) else Session()
