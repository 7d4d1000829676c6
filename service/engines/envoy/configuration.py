"""Envoy's configuration: one listener, HTTP/2, TLS, gRPC-Web for browsers, and Python as the last filter."""

import ipaddress
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.rpc import code_pb2

from models.errors import InvalidInputError
from service.engines.engine import EngineSettings, TlsSettings
from service.engines.envoy.headers import status_headers
from service.handlers.errors import StatusError

Configuration = dict[str, Any]

LISTENER = "grpc"
_ADMISSION = "envoy.filters.http.adaptive_concurrency"
_LOWEST_LIMIT = 32  # as in service/handlers/admission.py
_REFUSED = 429
_RETRY_DELAY = 0.2  # seconds
_TYPES = "type.googleapis.com/envoy"
_EXPOSED = "grpc-status,grpc-message,grpc-status-details-bin"
_ALLOWED = "content-type,x-grpc-web,x-user-agent,grpc-timeout"
_STREAM_WINDOW = 1 << 20  # bytes
_DAY = "86400s"


@dataclass(frozen=True, slots=True)
class EnvoySettings:
    """Says what concerns Envoy alone. ``admin`` is HOST:PORT, or the path of a unix socket.

    Calls whose paths begin with one of ``limited_paths`` are refused early: at most ``maximal_calls`` at once, and
    fewer while half of them take longer than ``wanted_seconds``.
    """

    admin: str
    limited_paths: Sequence[str] = ()
    maximal_calls: int = 256
    wanted_seconds: float = 0.03
    web_origins: Sequence[str] = ()
    access_log: Path | None = None


def configuration(engine: EngineSettings, envoy: EnvoySettings, application: str) -> Configuration:
    """Write the whole configuration; ``application`` is the ASGI application, as ``module:name``.

    InvalidInputError naming ``listen`` when its host is unknown.
    """
    return {
        "admin": {"address": _admin_address(envoy.admin)},
        "static_resources": {"listeners": [_listener(engine, envoy, application)]},
    }


def _listener(engine: EngineSettings, envoy: EnvoySettings, application: str) -> Configuration:
    chain: Configuration = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": _connection_manager(engine, envoy, application),
            }
        ]
    }
    if engine.tls is not None:
        chain["transport_socket"] = _transport_socket(engine.tls)
    return {
        "name": LISTENER,
        "address": {"socket_address": {"address": _ip_address(engine.host), "port_value": engine.port}},
        # A port that somebody else listens on is an error, unless it is shared on purpose.
        "enable_reuse_port": engine.share_port,
        "filter_chains": [chain],
    }


def _connection_manager(engine: EngineSettings, envoy: EnvoySettings, application: str) -> Configuration:
    manager: Configuration = {
        "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": LISTENER,
        "codec_type": "AUTO",
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        # Watches of health are silent for as long as nothing changes.
        "stream_idle_timeout": "0s",
        "http2_protocol_options": {
            "max_concurrent_streams": engine.maximal_streams,
            # What a caller may send ahead on one call: Envoy's own default would let tens of MB wait in memory.
            "initial_stream_window_size": _STREAM_WINDOW,
            "connection_keepalive": {
                "connection_idle_interval": _seconds(engine.keepalive_time),
                "timeout": _seconds(engine.keepalive_timeout),
            },
        },
        "common_http_protocol_options": {"idle_timeout": _DAY},
        "drain_timeout": "1s",
        "local_reply_config": _local_replies(),
        "route_config": {"virtual_hosts": [_virtual_host(envoy)]},
        "http_filters": [*_web_filters(envoy), *_admission_filter(envoy), _python_filter(application)],
    }
    if engine.maximal_connection_age > 0:
        age = _seconds(engine.maximal_connection_age)
        manager["common_http_protocol_options"]["max_connection_duration"] = age
    if envoy.access_log is not None:
        manager["access_log"] = [_access_log(envoy.access_log)]
    return manager


def _virtual_host(envoy: EnvoySettings) -> Configuration:
    host: Configuration = {
        "name": LISTENER,
        "domains": ["*"],
        "routes": _routes(envoy),
    }
    if envoy.web_origins:
        host["typed_per_filter_config"] = {
            "envoy.filters.http.cors": {
                "@type": f"{_TYPES}.extensions.filters.http.cors.v3.CorsPolicy",
                "allow_origin_string_match": [_origin(origin) for origin in envoy.web_origins],
                "allow_methods": "POST",
                "allow_headers": _ALLOWED,
                "expose_headers": _EXPOSED,
                "max_age": "600",
            }
        }
    return host


def _origin(origin: str) -> Configuration:
    return {"prefix": ""} if origin == "*" else {"exact": origin}


def _web_filters(envoy: EnvoySettings) -> list[Configuration]:
    """Let browsers call from the origins that are allowed; without any there is nothing to translate."""
    if not envoy.web_origins:
        return []
    return [
        {
            "name": "envoy.filters.http.cors",
            "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.cors.v3.Cors"},
        },
        {
            "name": "envoy.filters.http.grpc_web",
            "typed_config": {"@type": f"{_TYPES}.extensions.filters.http.grpc_web.v3.GrpcWeb"},
        },
    ]


def _admission_filter(envoy: EnvoySettings) -> list[Configuration]:
    """Refuse calls before Python hears of them, which has to do with those that it works on.

    The gradient controller of https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
    with a wanted duration in place of a measured one, for whose sake calls would be refused now and then.
    """
    if not envoy.limited_paths:
        return []
    controller = {
        "sample_aggregate_percentile": {"value": 50},
        "concurrency_limit_params": {
            "max_concurrency_limit": envoy.maximal_calls,
            "concurrency_update_interval": "0.1s",
        },
        "min_rtt_calc_params": {
            "fixed_value": _seconds(envoy.wanted_seconds),
            "min_concurrency": min(_LOWEST_LIMIT, envoy.maximal_calls),
        },
    }
    return [
        {
            "name": _ADMISSION,
            "typed_config": {
                "@type": f"{_TYPES}.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency",
                "gradient_controller_config": controller,
                "concurrency_limit_exceeded_status": {"code": _REFUSED},
            },
        }
    ]


def _routes(envoy: EnvoySettings) -> list[Configuration]:
    """Lead everything to Python. Never followed, but what has no route has no policy for other origins or admission."""
    unlimited: Configuration = {"match": {"prefix": "/"}, "non_forwarding_action": {}}
    if not envoy.limited_paths:
        return [unlimited]
    off = {"@type": f"{_TYPES}.config.route.v3.FilterConfig", "disabled": True}
    limited = [{"match": {"prefix": path}, "non_forwarding_action": {}} for path in envoy.limited_paths]
    return [*limited, unlimited | {"typed_per_filter_config": {_ADMISSION: off}}]


def _local_replies() -> Configuration:
    """Tell whoever is refused what Python would tell them."""
    error = StatusError(code_pb2.RESOURCE_EXHAUSTED, "the server is busy", "OVERLOADED", retry_delay=_RETRY_DELAY)
    headers = [
        {"header": {"key": name.decode(), "value": value.decode()}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in status_headers(error)
    ]
    refused = {"comparison": {"op": "EQ", "value": {"default_value": _REFUSED, "runtime_key": "none"}}}
    return {"mappers": [{"filter": {"status_code_filter": refused}, "headers_to_add": headers}]}


def _python_filter(application: str) -> Configuration:
    # The package is optional.
    from pyvoy import PyvoyServer  # noqa: PLC0415

    server = PyvoyServer(application, interface="asgi", lifespan=True, loop="uvloop", worker_threads=1)
    (listener,) = server.get_envoy_config()["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][-1]["typed_config"]
    python: Configuration = manager["http_filters"][-1]
    return python


def _transport_socket(tls: TlsSettings) -> Configuration:
    common: Configuration = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificates": [
            {
                "certificate_chain": {"filename": str(tls.certificate_file.resolve())},
                "private_key": {"filename": str(tls.key_file.resolve())},
            }
        ],
    }
    if tls.client_ca_file is not None:
        common["validation_context"] = {"trusted_ca": {"filename": str(tls.client_ca_file.resolve())}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": common,
            "require_client_certificate": tls.client_ca_file is not None,
        },
    }


def _access_log(path: Path) -> Configuration:
    """Log one JSON object per call: what, how it ended, how long it took, and no id of a customer."""
    line = {
        "time": "%START_TIME%",
        "method": "%REQ(:PATH)%",
        "http_status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "flags": "%RESPONSE_FLAGS%",
        "ms": "%DURATION%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "peer": "%DOWNSTREAM_REMOTE_ADDRESS%",
    }
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{_TYPES}.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(path.resolve()),
            "log_format": {"json_format": line},
        },
    }


def _admin_address(admin: str) -> Configuration:
    host, separator, port = admin.rpartition(":")
    if not separator or admin.startswith("/"):
        return {"pipe": {"path": admin, "mode": 0o600}}
    return {"socket_address": {"address": _ip_address(host), "port_value": int(port)}}


def _ip_address(host: str) -> str:
    """Give the address of a host; Envoy takes no names here."""
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise InvalidInputError("listen", f"there is no host {host}") from error


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}s"


def as_text(written: Configuration) -> str:
    """Give a configuration as JSON for people, as ``envoy --config-path`` reads it too."""
    return json.dumps(written, indent=2) + "\n"
