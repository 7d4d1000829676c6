"""What Envoy itself answers to those whom it refuses: what Python would, in headers to gRPC and as JSON to others."""

from google.protobuf.json_format import MessageToDict
from google.rpc import code_pb2, status_pb2

from service.engines.envoy.admission import REFUSED
from service.engines.envoy.headers import status_headers
from service.engines.envoy.settings import Configuration
from service.handlers.errors import StatusError

_RETRY_DELAY = 0.2  # seconds
_WHY = "%LOCAL_REPLY_BODY%"
"""Envoy's own words, which name the field that it cannot read or the path that it does not know."""


def local_replies() -> Configuration:
    """Write what Envoy answers instead of its own text."""
    busy = StatusError(code_pb2.RESOURCE_EXHAUSTED, "the server is busy", "OVERLOADED", retry_delay=_RETRY_DELAY)
    headers = [
        {"header": {"key": name.decode(), "value": value.decode()}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in status_headers(busy)
    ]
    return {
        "mappers": [
            _mapper(REFUSED, busy) | {"headers_to_add": headers},
            _mapper(400, StatusError(code_pb2.INVALID_ARGUMENT, _WHY, "MALFORMED_REQUEST")),
            _mapper(404, StatusError(code_pb2.NOT_FOUND, _WHY, "UNKNOWN_PATH")),
            _mapper(413, StatusError(code_pb2.RESOURCE_EXHAUSTED, _WHY, "REQUEST_TOO_LARGE")),
        ]
    }


def _mapper(http_status: int, error: StatusError) -> Configuration:
    condition = {"comparison": {"op": "EQ", "value": {"default_value": http_status, "runtime_key": "none"}}}
    body = MessageToDict(status_pb2.Status.FromString(error.details))
    return {"filter": {"status_code_filter": condition}, "body_format_override": {"json_format": body}}
