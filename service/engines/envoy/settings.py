"""What concerns Envoy alone, and how its configuration is written down here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

Configuration = dict[str, Any]

TYPES = "type.googleapis.com/envoy"


@dataclass(frozen=True, slots=True)
class EnvoySettings:
    """Says what concerns Envoy alone. ``admin`` is HOST:PORT, or the path of a unix socket.

    Calls of the methods ``limited_paths`` are refused early: at most ``maximal_calls`` at once, and fewer while half of
    them take longer than ``wanted_seconds``. ``json_services`` can be called with JSON, by the HTTP paths that their
    annotations name.
    """

    admin: str
    limited_paths: Sequence[str] = ()
    maximal_calls: int = 256
    wanted_seconds: float = 0.03
    json_services: Sequence[ServiceDescriptor] = ()
    web_origins: Sequence[str] = ()
    access_log: Path | None = None
