"""The one tree of errors that this product raises on purpose.

Each carries a message that may be shown to whoever called, and nothing that may not.
"""

from typing import Self


class DangolError(Exception):
    """Is the root of the tree."""

    reason = "INTERNAL"


class InvalidInputError(DangolError):
    """Says that the caller's input cannot be used, and which field, line or file of it."""

    reason = "INVALID_INPUT"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Let another process raise it again."""
        return type(self), (self.field, self.problem)


class ArtifactError(InvalidInputError):
    """Says that a model on disk is not what its manifest promises. ``field`` is the file."""

    reason = "ARTIFACT_DAMAGED"


class NotFoundError(DangolError):
    """Says that what was asked for by name does not exist."""

    reason = "NOT_FOUND"


class PreconditionError(DangolError):
    """Says that the system is not in the state that the call needs; the message says what to do first."""

    reason = "FAILED_PRECONDITION"


class ConflictError(DangolError):
    """Says that somebody else changed the same thing meanwhile; nothing of this call remains."""

    reason = "CONFLICT"


class OverloadedError(DangolError):
    """Says that the call was refused unprocessed because the server is busy.

    ``retry_delay`` is how many seconds the caller should wait before it asks again; 0 says nothing about it.
    """

    reason = "OVERLOADED"

    def __init__(self, message: str, retry_delay: float = 0.0) -> None:
        super().__init__(message)
        self.retry_delay = retry_delay


class UnavailableError(DangolError):
    """Says that something needed cannot be reached now; the call may be retried."""

    reason = "UNAVAILABLE"


class DeadlineError(DangolError):
    """Says that the caller's deadline passed before there was an answer."""

    reason = "DEADLINE_EXCEEDED"
