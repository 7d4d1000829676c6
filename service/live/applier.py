"""Applies the log: what customers did becomes fresh candidates; what cannot be applied is set aside."""

import time
from collections.abc import Callable, Sequence

import structlog

from service.live.measures import Measures
from service.live.raiser import Raiser
from service.live.refresher import Refresher
from service.store.log_group import LogEntry, LogGroup, numbers_of

ENTRIES = 32
"""Entries of each shard that are taken at a time: what a worker that dies owes others."""
_FORGET_INTERVAL = 600.0


class Applier:
    """Takes entries, applies and acknowledges them. What it does may be done again without harm."""

    def __init__(
        self,
        group: LogGroup,
        refresher: Refresher,
        raiser: Raiser,
        measures: Measures,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``patience`` in seconds: entries that others got so long ago, and did not apply, are taken over."""
        self._group = group
        self._refresher = refresher
        self._raiser = raiser
        self._measures = measures
        self._patience = patience
        self._clock = clock
        self._claim_time = clock()
        self._forget_time = clock() + _FORGET_INTERVAL
        self._log = structlog.get_logger("dangol")

    def step(self) -> bool:
        """Apply what there is, and tell whether there may be more. UnavailableError when Redis fails.

        Entries that were taken then are claimed again when the patience ends, by this worker or another.
        """
        self._refresher.follow()
        entries = self._group.read(ENTRIES)
        if self._clock() >= self._claim_time:
            claimed = self._group.claim(self._patience, ENTRIES)
            entries += claimed
            # More may lie there than one look takes.
            self._claim_time = self._clock() + (0 if claimed else self._patience / 2)
        if entries:
            self._apply(entries)
            return True
        if self._clock() >= self._forget_time:
            self._group.forget_the_silent()
            self._forget_time = self._clock() + _FORGET_INTERVAL
        return self._refresher.go_on() > 0

    def _apply(self, entries: Sequence[LogEntry]) -> None:
        sound = [entry for entry in entries if not entry.problem]
        customer_ids = list(dict.fromkeys(entry.event.customer_id for entry in sound if entry.event is not None))
        problems = self._refresher.refresh(customer_ids)
        dead = [(entry, problem) for entry in entries if (problem := _problem_of(entry, problems))]
        if dead:
            self._group.set_aside(dead)
            self._log.error("entries of the log were set aside", entries=len(dead), reason=dead[0][1])
        applied = [entry for entry in sound if not _problem_of(entry, problems)]
        self._raiser.consider([customer_id for customer_id in customer_ids if customer_id not in problems])
        self._group.acknowledge(applied)
        now = time.time()
        for entry in applied:
            self._measures.applied(now - numbers_of(entry.entry_id)[0] / 1_000)
        self._measures.refreshed(len(customer_ids))
        self._measures.set_aside(len(dead))


def _problem_of(entry: LogEntry, problems: dict[str, str]) -> str:
    if entry.problem or entry.event is None:
        return entry.problem
    return problems.get(entry.event.customer_id, "")
