"""Turns whatever went wrong into one line for people and an exit code for scripts."""

from dataclasses import dataclass
from enum import IntEnum

from models.errors import (
    ConflictError,
    DangolError,
    DeadlineError,
    InvalidInputError,
    NotFoundError,
    OverloadedError,
    PreconditionError,
    UnavailableError,
)


class ExitCode(IntEnum):
    """Tells scripts how a command ended; documented in docs/commands.md."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    BAD_INPUT = 3
    NOT_FOUND = 4
    UNAVAILABLE = 5
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Ending:
    """Says how a command ends: what stands on stderr, if anything, and the exit code."""

    line: str
    code: ExitCode


_DANGOL: tuple[tuple[type[DangolError], ExitCode], ...] = (
    (InvalidInputError, ExitCode.BAD_INPUT),
    (NotFoundError, ExitCode.NOT_FOUND),
    (UnavailableError, ExitCode.UNAVAILABLE),
    (DeadlineError, ExitCode.UNAVAILABLE),
    (OverloadedError, ExitCode.UNAVAILABLE),
    (PreconditionError, ExitCode.FAILED),
    (ConflictError, ExitCode.FAILED),
    (DangolError, ExitCode.FAILED),
)

_INTERRUPTED_QUERY = "Query interrupted"
"""What DuckDB makes of Ctrl-C: a RuntimeError with these words."""

_CLIENT: dict[str, tuple[ExitCode, str]] = {
    "InvalidRequestError": (ExitCode.BAD_INPUT, ""),
    "NotFoundError": (ExitCode.NOT_FOUND, ""),
    "ServerUnavailableError": (ExitCode.UNAVAILABLE, "start it with `dangol serve`, or name another with --address"),
    "DeadlineExceededError": (ExitCode.UNAVAILABLE, "try again, or allow more with --timeout"),
}


def ending_of(error: BaseException) -> Ending:
    """Describe an error. Anything that is not expected is called an internal error, without its trace."""
    if isinstance(error, KeyboardInterrupt) or str(error) == _INTERRUPTED_QUERY:
        return Ending("", ExitCode.INTERRUPTED)
    if isinstance(error, DangolError):
        code = next(code for kind, code in _DANGOL if isinstance(error, kind))
        return Ending(_one_line(str(error)), code)
    if type(error).__module__ == "dangol.client.errors":
        code, hint = _CLIENT.get(type(error).__name__, (ExitCode.FAILED, ""))
        return Ending(_one_line(f"{error}: {hint}" if hint else str(error)), code)
    if type(error).__name__ == "OutOfMemoryException":
        line = "DuckDB needs more memory than resources.memory_limit_mb of the configuration allows: allow it more"
        return Ending(line, ExitCode.FAILED)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return Ending(_one_line(f"{place}{error.strerror or error}"), ExitCode.FAILED)
    line = f"internal error: {type(error).__name__}: {error}: please report it with what `dangol --trace …` prints"
    return Ending(_one_line(line), ExitCode.FAILED)


def _one_line(text: str) -> str:
    return " ".join(text.split())
