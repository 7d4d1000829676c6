"""Structured logs: one JSON object a line, on standard error."""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

import structlog

_LEVELS = logging.getLevelNamesMapping()
# Made once: json.dumps with options would make an encoder per line.
_GATHERING_SECONDS = 0.1
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def configure_logs(level: str) -> None:
    """Let every line of this process of ``level`` (such as ``info``) and above be JSON with time, level and event."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _as_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _as_line(_logger: object, _method: str, entry: Mapping[str, Any]) -> str:
    return _encode(entry)


class CallLog:
    """Writes the line of each call as structlog would, for a fraction of its cost: there is one for every call.

    Lines are gathered and written together, at most 100 ms later. Use it inside a running event loop.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def write(self, facts: Mapping[str, str | int | float]) -> None:
        """Take one line in."""
        parts = [f',"{name}":{quoted(value) if isinstance(value, str) else value}' for name, value in facts.items()]
        time = datetime.now(UTC).isoformat()
        if not self._lines:
            asyncio.get_running_loop().call_later(_GATHERING_SECONDS, self.flush)
        self._lines.append(f'{{"event":"call","level":"info","timestamp":"{time}"{"".join(parts)}}}\n')

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        sys.stderr.write("".join(lines))
