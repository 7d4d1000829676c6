"""A line per HTTP request, in a file."""

from pathlib import Path

from service.engines.envoy.settings import TYPES, Configuration
from service.engines.envoy.transcoding import JSON_PREFIX


def access_logs(path: Path) -> list[Configuration]:
    """Log one JSON object per call: what, how it ended, how long it took, and no id of a customer.

    A call with JSON has the path of its method by then. Only what was refused before has still that of its caller,
    with ids in it.
    """
    untranslated = {"name": ":path", "string_match": {"prefix": JSON_PREFIX}}
    return [
        _file(path, "%REQ(:PATH)%", untranslated | {"invert_match": True}),
        _file(path, JSON_PREFIX, untranslated),
    ]


def _file(path: Path, method: str, header: Configuration) -> Configuration:
    line = {
        "time": "%START_TIME%",
        "method": method,
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
        "filter": {"header_filter": {"header": header}},
        "typed_config": {
            "@type": f"{TYPES}.extensions.access_loggers.file.v3.FileAccessLog",
            "path": str(path.resolve()),
            "log_format": {"json_format": line},
        },
    }
