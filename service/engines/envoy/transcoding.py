"""The same calls with JSON over HTTP, by the paths that the contract's annotations name, translated by Envoy.

https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/grpc_json_transcoder_filter
"""

import base64
import re
from collections.abc import Collection, Iterator, Sequence

from google.api import annotations_pb2
from google.protobuf.any_pb2 import DESCRIPTOR as ANY_FILE
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from service.engines.engine import EngineSettings
from service.engines.envoy.settings import TYPES, Configuration, EnvoySettings

TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
JSON_PREFIX = "/v1/"
"""How every annotated path begins."""
_ERRORS = (ANY_FILE, status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR)


def transcoding_filters(engine: EngineSettings, envoy: EnvoySettings) -> list[Configuration]:
    """Write the filter that translates requests to gRPC and answers to JSON; none without services for it."""
    if not envoy.json_services:
        return []
    described = _descriptor_set([*(service.file for service in envoy.json_services), *_ERRORS])
    return [
        {
            "name": TRANSCODER,
            "typed_config": {
                "@type": f"{TYPES}.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
                "proto_descriptor_bin": base64.b64encode(described).decode(),
                "services": [service.full_name for service in envoy.json_services],
                "convert_grpc_status": True,
                # A line for each message of a stream, so that it can be read as it comes.
                "print_options": {"stream_newline_delimited": True},
                # What is not understood is refused; otherwise a misspelt parameter would not be missed.
                "request_validation_options": {
                    "reject_unknown_method": True,
                    "reject_unknown_query_parameters": True,
                    "reject_binding_body_field_collisions": True,
                },
                # Of JSON; Python looks at the size of the messages.
                "max_request_body_size": engine.maximal_request_bytes,
                "max_response_body_size": engine.maximal_response_bytes,
            },
        }
    ]


def path_patterns(services: Sequence[ServiceDescriptor], methods: Collection[str]) -> Iterator[str]:
    """Give, as regular expressions, the HTTP paths of those methods (``/package.Service/Method``) that have one."""
    for service in services:
        for method in service.methods:
            rule = method.GetOptions().Extensions[annotations_pb2.http]
            path = rule.get or rule.post
            if path and f"/{service.full_name}/{method.name}" in methods:
                yield "[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", path))


def _descriptor_set(files: Sequence[FileDescriptor]) -> bytes:
    """Describe files and all that they import, each after what it imports."""
    described: dict[str, bytes] = {}

    def add(file: FileDescriptor) -> None:
        if file.name not in described:
            for imported in file.dependencies:
                add(imported)
            described[file.name] = file.serialized_pb

    for file in files:
        add(file)
    descriptor_set = FileDescriptorSet()
    for written in described.values():
        descriptor_set.file.add().ParseFromString(written)
    return descriptor_set.SerializeToString()
