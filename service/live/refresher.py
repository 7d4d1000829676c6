"""Makes candidates fresh: of customers of whom something was heard, and of all of them when a generation comes."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from models.errors import ArtifactError, DangolError, NotFoundError
from models.folding import Folder
from models.profile import ProfileEvent
from service.store.candidate_refresh import CandidateRefresh, Published
from service.store.generation_record import GenerationRecord
from service.store.lease import Lease

CHUNK = 32
"""Customers whose lists are made at once: their scores are one product of two matrices."""


@dataclass(frozen=True, slots=True)
class _Served:
    """Is the generation that lists are made for; ``folder`` is None when it was published without what that takes."""

    record: GenerationRecord
    folder: Folder | None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Refresher:
    """Keeps lists fresh. Failures of Redis are UnavailableError throughout."""

    def __init__(self, store: CandidateRefresh, worker: str, now: Callable[[], datetime] = _utc_now) -> None:
        """``worker`` names this worker among all of them."""
        self._store = store
        self._worker = worker
        self._now = now
        self._served: _Served | None = None
        self._walk: Iterator[list[str]] | None = None
        self._lease: Lease | None = None
        self._log = structlog.get_logger("dangol")

    @property
    def generation(self) -> int:
        """Give the generation that lists are made for, 0 for none."""
        return self._served.record.generation if self._served is not None else 0

    def follow(self) -> None:
        """Take up the generation that is live now, if it is another one."""
        record = self._store.live()
        if record is None:
            self._served = self._lease = self._walk = None
        elif record.generation != self.generation:
            self._served = _Served(record, self._load(record))
            self._walk = None
            self._lease = self._store.lease(record.generation, self._worker) if self._served.folder else None

    def refresh(self, customer_ids: Sequence[str]) -> dict[str, str]:
        """Make the lists of customers fresh; give, for those where that went wrong, what did.

        Lists stay as they are where nothing is known that the published ones did not know, or when a generation was
        published without what it takes. A profile that changes meanwhile has another event in the log, to come next.
        """
        problems: dict[str, str] = {}
        for chunk in _chunks(customer_ids):
            try:
                self._refresh(chunk)
            except DangolError:
                raise
            except Exception:  # noqa: BLE001 - whichever customer it is, the others' lists are made all the same
                for customer_id in chunk:
                    problems |= self._problem_with(customer_id)
        return problems

    def go_on(self) -> int:
        """Do one step of making all lists of a new generation fresh, which one worker does, and give their number.

        They know nothing of what happened since the training. What comes in meanwhile does not wait for this.
        """
        if self._lease is None:
            return 0
        if not self._lease.take():
            # Another one does it, or did.
            self._lease = None if self._lease.is_closed() else self._lease
            return 0
        if self._walk is None:
            self._walk = self._store.profiled()
        customer_ids = next(self._walk, None)
        if customer_ids is None:
            self._lease.close()
            self._lease = self._walk = None
            self._log.info("lists are fresh", generation=self.generation)
            return 0
        self.refresh(customer_ids)
        return len(customer_ids)

    def _problem_with(self, customer_id: str) -> dict[str, str]:
        try:
            self._refresh([customer_id])
        except DangolError:
            raise
        except Exception as error:  # noqa: BLE001 - it is told with the entry that is set aside
            self._log.error("candidates cannot be made fresh", exc_info=error)
            return {customer_id: f"candidates cannot be made fresh ({type(error).__name__})"}
        return {}

    def _refresh(self, customer_ids: Sequence[str]) -> None:
        served = self._served
        if served is None or served.folder is None:
            return
        now, generation = self._now(), served.record.generation
        customers = self._store.read(generation, customer_ids)
        histories = [served.folder.history(_unknown(customer, served.record), now) for customer in customers]
        chosen = [place for place, history in enumerate(histories) if len(history.rows)]
        lists = served.folder.fold(
            [histories[place] for place in chosen], [customers[place].candidates for place in chosen]
        )
        fresh = [(customers[place], candidates) for place, candidates in zip(chosen, lists, strict=True)]
        self._store.write(generation, fresh)

    def _load(self, record: GenerationRecord) -> Folder | None:
        try:
            loaded = self._store.load(record)
        except (NotFoundError, ArtifactError) as error:
            self._log.warning("lists stay as published", generation=record.generation, problem=str(error))
            return None
        if loaded is None:
            self._log.warning("lists stay as published", generation=record.generation, problem="it has no fold model")
            return None
        begin = time.monotonic()
        items, fold_model = loaded
        folder = Folder(fold_model, items)
        self._log.info(
            "making lists fresh",
            generation=record.generation,
            exact=folder.is_exact,
            seconds=round(time.monotonic() - begin, 3),
        )
        return folder


def _unknown(customer: Published, record: GenerationRecord) -> Sequence[ProfileEvent]:
    """Give the events that the published list did not know: those after the training, or all where there is none."""
    events, last = customer.profile.events, record.last_event_time
    if customer.candidates is None or last is None:
        return events
    # Newest first.
    return list(itertools.takewhile(lambda event: event.event_time > last, events))


def _chunks(customer_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (customer_ids[start : start + CHUNK] for start in range(0, len(customer_ids), CHUNK))
