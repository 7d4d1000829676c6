"""Calls by JSON over HTTP as the contract's annotations have them, and the same calls by gRPC."""

import http.client
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import grpc
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict, Parse, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from service.handlers.contract import SERVICES
from tests.contract.test_engines import status_of

METHODS = {method.name: method for service in SERVICES for method in service.methods}
"""Every method of the contract, by its name."""
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Is what came back over HTTP."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.text)
        return read

    def read_as(self, name: str) -> dict[str, Any]:
        """Give the answer of a method, or the status, as a parser of protobuf's JSON reads it, which takes no more."""
        read = status_pb2.Status() if self.status != 200 else GetMessageClass(METHODS[name].output_type)()
        return MessageToDict(Parse(self.text, read))


def rule_of(method: MethodDescriptor) -> tuple[str, str] | None:
    """Give the verb and the pattern of the path that a method is annotated with."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return None if verb is None else (verb.upper(), getattr(rule, verb))


def ask(address: str, verb: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
    """Send one request as it stands."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(verb, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


def by_json(address: str, name: str, request: dict[str, Any], **headers: str) -> Answer:
    """Call a method by its annotation: fields go into the path, the rest into the query or the body."""
    rule = rule_of(METHODS[name])
    assert rule is not None
    verb, pattern = rule
    named = {field: quote(str(request[field]), safe="") for field in re.findall(r"\{(\w+)\}", pattern)}
    path = pattern.format(**named)
    rest = {key: value for key, value in request.items() if key not in named}
    if verb == "GET":
        return ask(address, verb, f"{path}?{urlencode(rest, doseq=True)}", headers=headers)
    return ask(address, verb, path, json.dumps(rest).encode(), JSON | headers)


def by_grpc(channel: grpc.Channel, name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call a method by gRPC, and give the answer or the status as JSON would show it."""
    method = METHODS[name]
    message = ParseDict(request, GetMessageClass(method.input_type)())
    call: grpc.UnaryUnaryMultiCallable[Message, Message] = channel.unary_unary(
        f"/{method.containing_service.full_name}/{name}",
        request_serializer=lambda sent: sent.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    try:
        return MessageToDict(call(message, timeout=30))
    except grpc.RpcError as error:
        return MessageToDict(status_of(error)[2])
