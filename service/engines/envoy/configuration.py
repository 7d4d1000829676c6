"""Envoy's configuration: one listener, HTTP/2, TLS, gRPC-Web for browsers, JSON, and Python as the last filter."""

import ipaddress
import json
import socket

from models.errors import InvalidInputError
from service.engines.engine import EngineSettings, TlsSettings
from service.engines.envoy.access_log import access_logs
from service.engines.envoy.admission import admission_filters
from service.engines.envoy.replies import local_replies
from service.engines.envoy.routes import virtual_host
from service.engines.envoy.settings import TYPES, Configuration, EnvoySettings
from service.engines.envoy.transcoding import transcoding_filters

LISTENER = "grpc"
_STREAM_WINDOW = 1 << 20  # bytes
_DAY = "86400s"
_RELEASED_BYTES = 16 << 20


def configuration(engine: EngineSettings, envoy: EnvoySettings, application: str) -> Configuration:
    """Write the whole configuration; ``application`` is the ASGI application, as ``module:name``.

    InvalidInputError naming ``listen`` when its host is unknown.
    """
    return {
        "admin": {"address": _admin_address(envoy.admin)},
        # What Python frees, its share of Envoy's allocator included, goes back to the system: a new catalogue or model
        # takes twice its size for a moment.
        "memory_allocator_manager": {"bytes_to_release": _RELEASED_BYTES, "memory_release_interval": "1s"},
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
        "@type": f"{TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
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
        "local_reply_config": local_replies(),
        "route_config": {"virtual_hosts": [virtual_host(LISTENER, envoy)]},
        "http_filters": [
            *_web_filters(envoy),
            *transcoding_filters(engine, envoy),
            *admission_filters(envoy),
            _python_filter(application),
        ],
    }
    if engine.maximal_connection_age > 0:
        age = _seconds(engine.maximal_connection_age)
        manager["common_http_protocol_options"]["max_connection_duration"] = age
    if envoy.access_log is not None:
        manager["access_log"] = access_logs(envoy.access_log)
    return manager


def _web_filters(envoy: EnvoySettings) -> list[Configuration]:
    """Let browsers call from the origins that are allowed; without any there is nothing to translate."""
    if not envoy.web_origins:
        return []
    return [
        {
            "name": "envoy.filters.http.cors",
            "typed_config": {"@type": f"{TYPES}.extensions.filters.http.cors.v3.Cors"},
        },
        {
            "name": "envoy.filters.http.grpc_web",
            "typed_config": {"@type": f"{TYPES}.extensions.filters.http.grpc_web.v3.GrpcWeb"},
        },
    ]


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
            "@type": f"{TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": common,
            "require_client_certificate": tls.client_ca_file is not None,
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
