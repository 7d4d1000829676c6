"""What workers tell of themselves: metrics, and whether they go on."""

import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.store.log_group import ShardLag

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0)
_SILENCE = 60.0  # seconds without a whole round after which a worker is not well


class Measures:
    """Counts what one worker does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._delay = Histogram(
            "dangol_worker_delay_seconds",
            "From the acknowledgement of an event to its being applied",
            buckets=_SECONDS,
            registry=registry,
        )
        self._refreshed = Counter("dangol_worker_refreshed", "Customers whose lists were looked at", registry=registry)
        self._raised = Counter("dangol_worker_pushes_raised", "Pushes made by triggers", registry=registry)
        self._pushes = Gauge("dangol_pushes_waiting", "Pushes that wait or are leased", registry=registry)
        self._dead = Counter("dangol_worker_set_aside", "Entries set aside as dead letters", registry=registry)
        self._batches = Counter("dangol_worker_archived_batches", "Files written to the archive", registry=registry)
        self._unavailable = Counter(
            "dangol_worker_interruptions", "Rounds in which Redis or the archive failed", ["task"], registry=registry
        )
        self._waiting = Gauge(
            "dangol_worker_unarchived_seconds", "Age of the oldest event that is not archived", registry=registry
        )
        self._log = {
            name: Gauge(f"dangol_log_{name}", text, ["shard"], registry=registry)
            for name, text in (
                ("length", "Entries in the log"),
                ("waiting", "Entries not yet given to a worker"),
                ("pending", "Entries given to a worker and not yet applied"),
                ("dead", "Dead letters"),
            )
        }
        self._rounds: dict[str, float] = {}

    def applied(self, delay: float) -> None:
        """Count an entry that was applied so many seconds after it was appended."""
        self._delay.observe(max(0.0, delay))

    def refreshed(self, customers: int) -> None:
        """Count customers."""
        self._refreshed.inc(customers)

    def raised(self, pushes: int) -> None:
        """Count pushes that were made."""
        self._raised.inc(pushes)

    def pushes_waiting(self, pushes: int) -> None:
        """Take how many pushes wait."""
        self._pushes.set(pushes)

    def set_aside(self, entries: int) -> None:
        """Count entries that could not be applied."""
        self._dead.inc(entries)

    def archived(self) -> None:
        """Count a file."""
        self._batches.inc()

    def waiting(self, seconds: float) -> None:
        """Take the age of the oldest event that is not archived, 0 when all are."""
        self._waiting.set(seconds)

    def lags(self, lags: Sequence[ShardLag]) -> None:
        """Take how far the workers are behind."""
        for lag in lags:
            for name, gauge in self._log.items():
                gauge.labels(f"{lag.shard:02x}").set(getattr(lag, name))

    def round(self, task: str, *, interrupted: bool) -> None:
        """Take word that a task finished a round, or that Redis or the archive failed in it."""
        if interrupted:
            self._unavailable.labels(task).inc()
        else:
            self._rounds[task] = time.monotonic()

    def problem(self) -> str:
        """Say what is wrong with the worker; empty when nothing is."""
        now = time.monotonic()
        silent = [task for task, finished in self._rounds.items() if now - finished > _SILENCE]
        return f"no whole round lately: {', '.join(sorted(silent))}" if silent else ""
