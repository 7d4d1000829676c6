"""What a server tells its operator: one log line per call, and metrics."""

import hashlib
import logging
from collections.abc import Callable
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from models.errors import OverloadedError
from service.handlers.admission import Admission
from service.handlers.caller import Context
from service.handlers.durations import Durations
from service.logs import CallLog, members

_UNKNOWN_METHOD = "unknown"


class _Call(NamedTuple):
    path: str
    status: str
    seconds: float
    context: Context


class Telemetry:
    """Writes down what happens. Ids appear only as a keyed hash, so that a log betrays no customer."""

    def __init__(self, registry: CollectorRegistry, hash_key: bytes, *, log_calls: bool = True) -> None:
        self._log = structlog.get_logger("dangol")
        self._log_calls = log_calls and self._log.is_enabled_for(logging.INFO)
        self._calls = CallLog(self._describe)
        self._outcomes: dict[tuple[str, str], str] = {}
        self._keyed = hashlib.blake2b(digest_size=8, key=hash_key)
        self._requests = Durations(
            "dangol_request_seconds", "Duration of calls inside the server", ["method", "status"], registry
        )
        self._degraded = Counter("dangol_degraded", "Answers from a fallback", ["fallback"], registry=registry)
        reads = Durations(
            "dangol_redis_read_seconds", "Duration of customer reads, failed ones included", ["outcome"], registry
        )
        self._reads, self._failed_reads = reads.series("ok"), reads.series("failed")
        self._pushes = Counter("dangol_pushes", "Pushes by what became of them", ["outcome"], registry=registry)
        self._unexpected = Counter("dangol_unexpected_errors", "Calls answered with INTERNAL", registry=registry)
        self._in_flight = Gauge("dangol_in_flight_requests", "Calls being worked on", registry=registry)
        self._limit = Gauge("dangol_call_limit", "Calls that may be worked on at once", registry=registry)
        self._generation = Gauge("dangol_generation", "Generation that is served", registry=registry)
        self._age = Gauge("dangol_snapshot_age_seconds", "Time since Redis last confirmed it", registry=registry)

    def watch(self, admission: Admission, generation: Callable[[], float], age: Callable[[], float]) -> None:
        """Read these figures whenever metrics are asked for."""
        self._in_flight.set_function(lambda: admission.in_flight)
        self._limit.set_function(lambda: admission.limit)
        self._generation.set_function(generation)
        self._age.set_function(age)

    def call(self, path: str, status: str, seconds: float, context: Context) -> None:
        """Write down one finished call; an empty ``path`` stands for methods that do not exist."""
        self._requests.series(path or _UNKNOWN_METHOD, status).observe(seconds)
        fallback = context.facts.get("fallback")
        if fallback is not None:
            self._degraded.labels(fallback).inc()
        # Of refused calls the admission tells, in one line for many.
        if not self._log_calls or context.facts.get("reason") == OverloadedError.reason:
            return
        self._calls.write(_Call(path, status, seconds, context))

    def flush(self) -> None:
        """Write the lines of calls that are still held back."""
        self._calls.flush()

    def read(self, seconds: float, *, failed: bool) -> None:
        """Write down one read of customers from Redis."""
        (self._failed_reads if failed else self._reads).observe(seconds)

    def push(self, outcome: str) -> None:
        """Count what became of a push: leased, waiting, sent, returned, refused, or dropped and why."""
        self._pushes.labels(outcome).inc()

    def unexpected(self, error_id: str, error: BaseException) -> None:
        """Write down an exception that nobody expected, with its traceback."""
        self._unexpected.inc()
        self._log.error("unexpected error", error_id=error_id, exc_info=error)

    def _describe(self, call: "_Call") -> str:
        path, status, seconds, context = call
        outcome = self._outcomes.get((path, status))
        if outcome is None:
            outcome = members({"method": path or _UNKNOWN_METHOD, "status": status})
            self._outcomes[path, status] = outcome
        customer = f',"customer":"{self._hashed(context.customer_id)}"' if context.customer_id else ""
        return f'{outcome},"ms":{seconds * 1000:.3f}{members(context.facts)}{customer}'

    def _hashed(self, id_: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(id_.encode())
        return keyed.hexdigest()
