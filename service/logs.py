"""Structured logs: one JSON object a line, on standard error."""

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


def write_call(facts: Mapping[str, str | int | float]) -> None:
    """Write the line of one call, as structlog would but for a fifth of its cost: there is one for every call."""
    parts = [f',"{name}":{quoted(value) if isinstance(value, str) else value}' for name, value in facts.items()]
    time = datetime.now(UTC).isoformat()
    sys.stderr.write(f'{{"event":"call","level":"info","timestamp":"{time}"{"".join(parts)}}}\n')
