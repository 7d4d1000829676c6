"""From what went wrong to what the caller is told: one table, and never the text of an unexpected exception."""

import functools
import secrets

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from models.errors import (
    ArtifactError,
    ConflictError,
    DangolError,
    DeadlineError,
    InvalidInputError,
    NotFoundError,
    OverloadedError,
    PreconditionError,
    UnavailableError,
)

DOMAIN = "dangol"
"""The domain of every ``google.rpc.ErrorInfo`` that this product sends."""

_CODES: dict[type[DangolError], int] = {
    ArtifactError: code_pb2.FAILED_PRECONDITION,  # the model on disk is at fault, not the request
    InvalidInputError: code_pb2.INVALID_ARGUMENT,
    NotFoundError: code_pb2.NOT_FOUND,
    PreconditionError: code_pb2.FAILED_PRECONDITION,
    ConflictError: code_pb2.ABORTED,
    OverloadedError: code_pb2.RESOURCE_EXHAUSTED,
    UnavailableError: code_pb2.UNAVAILABLE,
    DeadlineError: code_pb2.DEADLINE_EXCEEDED,
}


class StatusError(Exception):
    """Is the one exception that an engine sees: a gRPC status with its details.

    ``details`` is a serialized ``google.rpc.Status``, as the trailer ``grpc-status-details-bin`` carries it.
    """

    def __init__(self, code: int, message: str, reason: str, field: str = "", retry_delay: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.code_name = code_pb2.Code.Name(code_pb2.Code.ValueType(code))
        self.message = message
        self.reason = reason
        self.details = _details(code, message, reason, field, retry_delay)


class UnimplementedError(StatusError):
    """Says that no such method is offered; whatever is not in the method table is refused."""

    def __init__(self) -> None:
        super().__init__(code_pb2.UNIMPLEMENTED, "there is no such method", "UNIMPLEMENTED")


class InternalError(StatusError):
    """Says that something unexpected went wrong; ``error_id`` is in the answer and in the log, the cause only there."""

    def __init__(self) -> None:
        self.error_id = secrets.token_hex(8)
        message = f"something unexpected went wrong; the server's log has it under {self.error_id}"
        super().__init__(code_pb2.INTERNAL, message, "INTERNAL")


def to_status(error: BaseException) -> StatusError:
    """Map any exception that came out of a handler."""
    match error:
        case StatusError():
            return error
        case OverloadedError():
            busy = _CODES[OverloadedError]
            return StatusError(busy, str(error), error.reason, retry_delay=error.retry_delay)
        case DecodeError():
            return StatusError(code_pb2.INVALID_ARGUMENT, "the request cannot be parsed", "MALFORMED_REQUEST")
        case DangolError():
            code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), None)
            if code is not None:
                field = error.field if isinstance(error, InvalidInputError) else ""
                return StatusError(code, str(error), error.reason, field)
    return InternalError()


# A busy server refuses thousands of calls in a second, all with the same few details.
@functools.lru_cache(maxsize=256)
def _details(code: int, message: str, reason: str, field: str, retry_delay: float) -> bytes:
    status = status_pb2.Status(code=code, message=message)
    status.details.append(_packed(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)))
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        status.details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    if retry_delay:
        delay = Duration(nanos=round(retry_delay % 1 * 1e9), seconds=int(retry_delay))
        status.details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return bytes(status.SerializeToString())


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
