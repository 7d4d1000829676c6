"""What can go wrong in a call, as one small tree with a line that people can read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """Names a field of the request and what is wrong with it."""

    field: str
    description: str


class ClientError(Exception):
    """Is the root of the tree: a call failed.

    ``code`` is the gRPC status, ``reason`` the server's stable UPPER_SNAKE word for it (empty when the server never
    answered), ``violations`` the fields at fault, ``retry_delay`` how many seconds a busy server asks to wait before
    the next attempt (0 when it says nothing). ``str()`` gives one line for people.
    """

    def __init__(
        self,
        message: str,
        code: grpc.StatusCode,
        reason: str = "",
        violations: tuple[FieldViolation, ...] = (),
        retry_delay: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.violations = violations
        self.retry_delay = retry_delay


class InvalidRequestError(ClientError):
    """Says that the request cannot be used; ``violations`` name the fields. Sending it again will not help."""


class NotFoundError(ClientError):
    """Says that something named in the request does not exist."""


class RefusedError(ClientError):
    """Says that the server understood and refuses in its present state, or for this caller."""


class ServerUnavailableError(ClientError):
    """Says that the server could not be reached or is not ready; it was tried again and may be tried later."""


class DeadlineExceededError(ClientError):
    """Says that there was no answer in time. Whether a write happened is not known."""


_CLASSES: dict[grpc.StatusCode, type[ClientError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: RefusedError,
    grpc.StatusCode.ABORTED: RefusedError,
    grpc.StatusCode.ALREADY_EXISTS: RefusedError,
    grpc.StatusCode.PERMISSION_DENIED: RefusedError,
    grpc.StatusCode.UNAUTHENTICATED: RefusedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RefusedError,
    grpc.StatusCode.CANCELLED: RefusedError,  # what grpcio's core says to those that it turns away from a full server
    grpc.StatusCode.UNAVAILABLE: ServerUnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
}


class FailedCall(Protocol):
    """Is what the errors of both kinds of channel have in common."""

    def code(self) -> grpc.StatusCode:
        """Give the status."""

    def details(self) -> str | None:
        """Give the status message."""

    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Give what the server sent after the answer."""


def error_of(failure: FailedCall, target: str) -> ClientError:
    """Turn the error of a channel to ``target`` into one of this tree."""
    code = failure.code()
    reason, violations, retry_delay = _details_of(failure.trailing_metadata() or ())
    message = _message_of(code, failure.details() or "", reason, violations, target)
    return _CLASSES.get(code, ClientError)(message, code, reason, violations, retry_delay)


def _message_of(
    code: grpc.StatusCode, details: str, reason: str, violations: tuple[FieldViolation, ...], target: str
) -> str:
    answered = bool(reason)
    if code is grpc.StatusCode.UNAVAILABLE and not answered:
        return f"no Dangol server answers at {target} ({_one_line(details).rsplit(': ', 1)[-1]})"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and not answered:
        return f"the server at {target} did not answer in time"
    if violations:
        return "; ".join(f"{violation.field}: {_one_line(violation.description)}" for violation in violations)
    return _one_line(details) or f"the server at {target} answered {code.name}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _details_of(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[str, tuple[FieldViolation, ...], float]:
    reason, retry_delay = "", 0.0
    violations: list[FieldViolation] = []
    for key, value in metadata:
        if key != _DETAILS_KEY or not isinstance(value, bytes):
            continue
        for detail in status_pb2.Status.FromString(value).details:
            information = error_details_pb2.ErrorInfo()
            bad_request, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
            if detail.Unpack(information):
                reason = information.reason
            elif detail.Unpack(bad_request):
                violations.extend(FieldViolation(v.field, v.description) for v in bad_request.field_violations)
            elif detail.Unpack(retry):
                retry_delay = retry.retry_delay.ToMilliseconds() / 1000
    return reason, tuple(violations), retry_delay
