"""Makes candidates fresh: of customers of whom something was heard, and of all of them when a generation comes.

That is done for the generation that is live and for each that is held, as arms of experiments answer from those.
"""

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


@dataclass(slots=True)
class _Kept:
    """Is a generation that lists are made for; ``folder`` is None when it was published without what that takes.

    ``lease`` and ``walk`` are of the making of all its lists, None before and after that.
    """

    record: GenerationRecord
    folder: Folder | None
    lease: Lease | None
    walk: Iterator[Sequence[str]] | None = None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Refresher:
    """Keeps lists fresh. Failures of Redis are UnavailableError throughout."""

    def __init__(self, store: CandidateRefresh, worker: str, now: Callable[[], datetime] = _utc_now) -> None:
        """``worker`` names this worker among all of them."""
        self._store = store
        self._worker = worker
        self._now = now
        self._kept: dict[int, _Kept] = {}
        self._log = structlog.get_logger("dangol")

    def follow(self) -> None:
        """Take up the generations that are live or held now, and let go of all others."""
        records = self._store.current()
        self._kept = {
            record.generation: self._kept.get(record.generation) or self._take_up(record) for record in records
        }

    def refresh(self, customer_ids: Sequence[str]) -> dict[str, str]:
        """Make the lists of customers fresh; give, for those where that went wrong, what did.

        Lists stay as they are where nothing is known that the published ones did not know, or when a generation was
        published without what it takes. A profile that changes meanwhile has another event in the log, to come next.
        """
        problems: dict[str, str] = {}
        for kept in self._kept.values():
            problems |= self._refresh_all(kept, customer_ids)
        return problems

    def go_on(self) -> int:
        """Do one step of making all lists of a new generation fresh, which one worker does, and give their number.

        They know nothing of what happened since the training. What comes in meanwhile does not wait for this.
        """
        return next((count for kept in self._kept.values() if (count := self._go_on(kept))), 0)

    def _go_on(self, kept: _Kept) -> int:
        if kept.lease is None:
            return 0
        if not kept.lease.take():
            # Another one does it, or did.
            kept.lease = None if kept.lease.is_closed() else kept.lease
            return 0
        if kept.walk is None:
            kept.walk = _steps(self._store.profiled())
        customer_ids = next(kept.walk, None)
        if customer_ids is None:
            kept.lease.close()
            kept.lease = kept.walk = None
            self._log.info("lists are fresh", generation=kept.record.generation)
            return 0
        self._refresh_all(kept, customer_ids)
        return len(customer_ids)

    def _refresh_all(self, kept: _Kept, customer_ids: Sequence[str]) -> dict[str, str]:
        problems: dict[str, str] = {}
        for chunk in _chunks(customer_ids):
            try:
                self._refresh(kept, chunk)
            except DangolError:
                raise
            except Exception:  # noqa: BLE001 - whichever customer it is, the others' lists are made all the same
                for customer_id in chunk:
                    problems |= self._problem_with(kept, customer_id)
        return problems

    def _problem_with(self, kept: _Kept, customer_id: str) -> dict[str, str]:
        try:
            self._refresh(kept, [customer_id])
        except DangolError:
            raise
        except Exception as error:  # noqa: BLE001 - it is told with the entry that is set aside
            self._log.error("candidates cannot be made fresh", exc_info=error)
            return {customer_id: f"candidates cannot be made fresh ({type(error).__name__})"}
        return {}

    def _refresh(self, kept: _Kept, customer_ids: Sequence[str]) -> None:
        folder, generation = kept.folder, kept.record.generation
        if folder is None:
            return
        now = self._now()
        customers = self._store.read(generation, customer_ids)
        histories = [folder.history(_unknown(customer, kept.record), now) for customer in customers]
        chosen = [place for place, history in enumerate(histories) if len(history.rows)]
        lists = folder.fold([histories[place] for place in chosen], [customers[place].candidates for place in chosen])
        fresh = [(customers[place], candidates) for place, candidates in zip(chosen, lists, strict=True)]
        self._store.write(generation, fresh)

    def _take_up(self, record: GenerationRecord) -> _Kept:
        folder = self._load(record)
        return _Kept(record, folder, self._store.lease(record.generation, self._worker) if folder else None)

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


def _steps(pages: Iterable[list[str]]) -> Iterator[Sequence[str]]:
    """Cut pages into chunks, so that no event waits for more than one; of an empty page comes an empty one."""
    for page in pages:
        yield page[:CHUNK]
        yield from _chunks(page[CHUNK:])


def _chunks(customer_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (customer_ids[start : start + CHUNK] for start in range(0, len(customer_ids), CHUNK))
