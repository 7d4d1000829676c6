"""How the client's channels behave: retries, balancing, keepalive, TLS and deadlines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

DEFAULT_TARGET = "127.0.0.1:7411"
"""Where ``dangol serve`` listens unless it is told otherwise."""

DEFAULT_TIMEOUT = 1.0
"""Seconds that a call may take with all its retries, unless the client or the call says otherwise."""

DEFAULT_WRITE_TIMEOUT = 10.0
"""Seconds for calls that carry batches of the catalogue or of events, or that move the model."""

KEEPALIVE_SECONDS = 30
"""How often an idle connection is probed. The server allows a ping every 10 s; more often it would hang up."""

MAXIMAL_MESSAGE_BYTES = 64 * 1024 * 1024
"""How large an answer may be: a page of 1,000 offers of 50,000 items each would still be refused, all else fits."""

_RETRIED: Sequence[tuple[str, Sequence[str]]] = (
    ("dangol.v1.OfferService", ()),
    ("dangol.v1.EventService", ()),
    ("dangol.v1.CatalogService", ()),
    ("dangol.v1.CustomerService", ()),
    ("dangol.v1.ModelService", ("GetServedModel", "ListGenerations", "PromoteModel", "HoldModel")),
    ("grpc.health.v1.Health", ("Check",)),
)
"""Services, and their methods if not all, that may be sent twice.

RollBackModel is missing, for which twice is one too many, and ReleaseModel, which finds nothing to release then.
"""


def _names() -> list[dict[str, str]]:
    names: list[dict[str, str]] = []
    for service, methods in _RETRIED:
        if not methods:
            names.append({"service": service})
        names.extend({"service": service, "method": method} for method in methods)
    return names


SERVICE_CONFIG: dict[str, Any] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "dangol.v1.CatalogService"},
    "methodConfig": [
        {
            "name": _names(),
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.25s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}
"""The gRPC service config of every channel; clients in other languages may take it over as it is.

Only UNAVAILABLE is tried again, at most three times, and no longer when most calls fail. The client watches the health
of every server, so that one that is about to end gets no more calls before it ends; the service named there is the one
that is well from the start of a server to its drain.
Format: https://github.com/grpc/grpc/blob/master/doc/service_config.md
"""


@dataclass(frozen=True, slots=True)
class Tls:
    """Says how to trust the server and, for mutual TLS, what to show it. Paths lead to PEM files.

    Without ``root_certificates`` gRPC's own list of authorities is used. ``server_name`` replaces the host of the
    target when the certificate is made out to another name.
    """

    root_certificates: Path | None = None
    certificate_chain: Path | None = None
    private_key: Path | None = None
    server_name: str = ""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files. OSError when one cannot be read."""
        return grpc.ssl_channel_credentials(
            root_certificates=_content(self.root_certificates),
            private_key=_content(self.private_key),
            certificate_chain=_content(self.certificate_chain),
        )


def _content(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def channel_options(tls: Tls | None) -> list[tuple[str, Any]]:
    """Give the options of a channel."""
    options: list[tuple[str, Any]] = [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.enable_retries", 1),
        ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        # Below a server's drain delay of 1 s: clients are back on a server that was restarted before the next one goes.
        ("grpc.max_reconnect_backoff_ms", 500),
        # How long an attempt to connect may take: one that nobody answers is not waited for through gRPC's own 20 s.
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_receive_message_length", MAXIMAL_MESSAGE_BYTES),
        # A proxy for the web is not meant for calls inside a network, and would swallow those to this machine.
        ("grpc.enable_http_proxy", 0),
    ]
    if tls and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options
