"""A gRPC server that answers by script, to see what the clients make of answers that a healthy server never gives."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

Answer = Callable[[bytes, grpc.ServicerContext], bytes]


@dataclass
class Script:
    """Answers every method with ``answers`` in turn, the last one for ever, and keeps what was asked."""

    answers: list[Answer]
    asked: list[tuple[str, bytes]] = field(default_factory=list)

    def handle(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.asked.append((method, request))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return answer(request, context)


class _AnyMethod(grpc.GenericRpcHandler):
    def __init__(self, script: Script) -> None:
        self._script = script

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        method = handler_call_details.method
        if method == "/grpc.health.v1.Health/Watch":
            return None  # UNIMPLEMENTED: clients take such a server for healthy

        def behaviour(request: bytes, context: grpc.ServicerContext) -> bytes:
            return self._script.handle(method, request, context)

        return grpc.unary_unary_rpc_method_handler(behaviour)


def message(content: bytes) -> Answer:
    return lambda request, context: content


def refusal(code: grpc.StatusCode, details: str = "no") -> Answer:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, details)

    return answer


def rich_refusal(code: grpc.StatusCode, reason: str, violations: dict[str, str]) -> Answer:
    information = any_pb2.Any()
    information.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="dangol"))
    bad_request = any_pb2.Any()
    bad_request.Pack(
        error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field=name, description=description)
                for name, description in violations.items()
            ]
        )
    )
    status = status_pb2.Status(code=code.value[0], message="not like this", details=[information, bad_request])

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, status.message)

    return answer


@contextmanager
def serving(script: Script, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_AnyMethod(script)])
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
