"""Archives the log, batch by batch, and removes from it what is applied and archived, and nothing else."""

import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from service.live.measures import Measures
from service.store.archive import Archive
from service.store.archive_progress import ArchivedLog, ArchiveProgress
from service.store.lease import Lease
from service.store.log_group import LogGroup


class Archiver:
    """Writes batches. Killed at any point, another one goes on with the same batch and writes the same file."""

    def __init__(
        self,
        log: ArchivedLog,
        archive: Archive,
        group: LogGroup,
        lease: Lease,
        measures: Measures,
        interval: float,
        now: Callable[[], float] = time.time,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        """``interval`` in seconds: how long an event may wait. ``now`` is in seconds since 1970.

        ``settle`` returns when what Redis was told is on its disk: a batch whose ranges it forgot would come again
        with other ones.
        """
        self._log = log
        self._archive = archive
        self._group = group
        self._lease = lease
        self._measures = measures
        self._interval = interval
        self._now = now
        self._settle = settle
        self._logger = structlog.get_logger("dangol")

    def step(self) -> bool:
        """Write a batch if it is time, and tell whether one was written.

        UnavailableError when Redis or the archive fails; nothing is lost, and the next step goes on with the batch.
        """
        if not self._lease.take():
            return False
        progress = self._begun()
        if not progress.next:
            self._trim(progress)
            return False
        self._settle()
        self._archive.add(progress.path, self._log.batch(progress))
        done = progress.finished()
        if self._log.move(progress, done):
            self._logger.info("archived", file=progress.path)
            self._measures.archived()
            self._trim(done)
        return True

    def _begun(self) -> ArchiveProgress:
        """Give the batch that is to be written: the one that was begun, or a new one when it is time for it."""
        progress = self._log.progress()
        if progress.next:
            return progress
        oldest, newest = self._log.unarchived(progress)
        self._measures.waiting(max(0.0, self._now() - oldest))
        if self._now() - oldest < self._interval:
            return progress
        begun = replace(progress, next=newest)
        return begun if self._log.move(progress, begun) else progress

    def _trim(self, progress: ArchiveProgress) -> None:
        bounds = zip(self._group.applied_before(), progress.archived_before(), strict=True)
        self._group.trim([min(pair) for pair in bounds])
