"""Which policies hold for which requests. Every route leads to Python, the last filter, and none is ever followed."""

from collections.abc import Iterable

from service.engines.envoy.admission import ADMISSION
from service.engines.envoy.settings import TYPES, Configuration, EnvoySettings
from service.engines.envoy.transcoding import JSON_PREFIX, TRANSCODER, path_patterns

_EXPOSED = "grpc-status,grpc-message,grpc-status-details-bin"
_ALLOWED = "content-type,x-grpc-web,x-user-agent,grpc-timeout"


def virtual_host(name: str, envoy: EnvoySettings) -> Configuration:
    """Write the one virtual host: its routes, and which pages of other origins may call."""
    host: Configuration = {"name": name, "domains": ["*"], "routes": _routes(envoy)}
    if envoy.web_origins:
        host["typed_per_filter_config"] = {
            "envoy.filters.http.cors": {
                "@type": f"{TYPES}.extensions.filters.http.cors.v3.CorsPolicy",
                "allow_origin_string_match": [_origin(origin) for origin in envoy.web_origins],
                "allow_methods": "GET,POST" if envoy.json_services else "POST",
                "allow_headers": _ALLOWED,
                "expose_headers": _EXPOSED,
                "max_age": "600",
            }
        }
    return host


def _origin(origin: str) -> Configuration:
    return {"prefix": ""} if origin == "*" else {"exact": origin}


def _routes(envoy: EnvoySettings) -> list[Configuration]:
    limited = [_route({"prefix": path}, without=[TRANSCODER]) for path in envoy.limited_paths]
    json_routes = _json_routes(envoy) if envoy.json_services else []
    return [*limited, *json_routes, _route({"prefix": "/"}, without=[TRANSCODER, ADMISSION])]


def _json_routes(envoy: EnvoySettings) -> list[Configuration]:
    """Let what comes as JSON be translated.

    A POST must name its content type, as browsers let no page of another origin do unasked: otherwise any page could
    make whoever looks at it erase a customer.
    """
    other_content = [
        {"name": ":method", "string_match": {"exact": "POST"}},
        {
            "name": "content-type",
            "string_match": {"prefix": "application/json"},
            "invert_match": True,
            "treat_missing_header_as_empty": True,
        },
    ]
    limited = path_patterns(envoy.json_services, envoy.limited_paths)
    return [
        _route({"prefix": JSON_PREFIX, "headers": other_content}, without=[TRANSCODER, ADMISSION]),
        *(_route({"safe_regex": {"regex": pattern}}, without=[]) for pattern in limited),
        _route({"prefix": JSON_PREFIX}, without=[ADMISSION]),
    ]


def _route(match: Configuration, without: Iterable[str]) -> Configuration:
    off = {"@type": f"{TYPES}.config.route.v3.FilterConfig", "disabled": True}
    return {"match": match, "non_forwarding_action": {}, "typed_per_filter_config": dict.fromkeys(without, off)}
