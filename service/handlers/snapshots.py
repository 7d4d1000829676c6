"""Keeps what requests are answered from: polls Redis, builds aside, swaps; a failure keeps the last good one."""

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import structlog

from models.catalog import EMPTY_CATALOG, Catalog
from models.counters import NO_CAPS, OfferCaps
from models.errors import DangolError, NotFoundError, UnavailableError
from models.experiments import models_of
from models.offers import Offer
from models.pace import Pace, Turns, unpaced
from models.terms import Budget
from service.decision.snapshot import ServedModel, Snapshot, build_snapshot
from service.handlers.held_models import HeldModels, served_model
from service.store.catalog_store import CatalogStore
from service.store.generation_record import GenerationRecord
from service.store.model_store import ModelStore

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""What a call leaves is freed by counting references; looking for cycles after every 700 objects finds next to none."""
_MANY_OBJECTS = 10_000
"""To walk over fewer than these takes a millisecond or so."""
_AT_ONCE = 64
"""Things of an old snapshot that are freed before the pace is asked."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """Says how often Redis is asked for news, in seconds, and whose shop is served."""

    tenant: str = "local"
    poll_interval: float = 0.25


class Snapshots:
    """Holds the catalogue and the snapshot of one tenant. Every answer takes ``current`` once."""

    def __init__(
        self,
        models: ModelStore,
        catalogs: CatalogStore,
        executor: Executor,
        settings: SnapshotSettings,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._models = models
        self._held = HeldModels(models)
        self._catalogs = catalogs
        self._executor = executor
        self._settings = settings
        self._on_change = on_change
        self._lock = asyncio.Lock()
        self._nudged = asyncio.Event()
        self._catalog: Catalog = EMPTY_CATALOG
        self._budgets: tuple[Mapping[str, Offer], Mapping[str, Budget]] = ({}, {})
        self._caps: tuple[Mapping[str, Offer], OfferCaps] = ({}, NO_CAPS)
        self._snapshot: Snapshot | None = None
        self._leftovers: list[object] = []
        self._record: GenerationRecord | None = None
        self._keeps_records = False
        self._confirmed = time.monotonic()
        self._failing = False
        self._log = structlog.get_logger("dangol")

    @property
    def is_failing(self) -> bool:
        """Tell whether the newest attempt to follow Redis failed, so that the last good snapshot serves."""
        return self._failing

    @property
    def keeps_records(self) -> bool:
        """Tell whether the shop keeps records of customers, so that they are to be read."""
        return self._keeps_records

    @property
    def poll_interval(self) -> float:
        """Give the seconds between two looks at Redis."""
        return self._settings.poll_interval

    @property
    def is_loaded(self) -> bool:
        """Tell whether there is a snapshot to answer from."""
        return self._snapshot is not None

    @property
    def generation(self) -> int:
        """Give the generation served, 0 before the first."""
        return self._record.generation if self._record is not None else 0

    @property
    def age(self) -> float:
        """Give the seconds since Redis last confirmed what is served."""
        return time.monotonic() - self._confirmed

    def current(self, tenant: str) -> Snapshot:
        """Give the snapshot. UnavailableError before the first model is loaded, NotFoundError for another tenant."""
        self._check(tenant)
        if self._snapshot is None:
            raise UnavailableError("no model is loaded yet; publish one first")
        return self._snapshot

    def catalog(self, tenant: str) -> Catalog:
        """Give the catalogue, which is there before the first model."""
        self._check(tenant)
        return self._catalog

    def budgets(self, tenant: str) -> Mapping[str, Budget]:
        """Give the budgets by offer, of offers that are not live as well."""
        catalog = self.catalog(tenant)
        if self._budgets[0] is not catalog.offers:
            found = {offer.offer_id: offer.budget for offer in catalog.offers.values() if offer.budget is not None}
            self._budgets = (catalog.offers, found)
        return self._budgets[1]

    def caps(self, tenant: str) -> OfferCaps:
        """Give the caps by offer, of offers that are not live as well."""
        catalog = self.catalog(tenant)
        if self._caps[0] is not catalog.offers:
            self._caps = (
                catalog.offers,
                {offer.offer_id: offer.caps for offer in catalog.offers.values() if offer.caps},
            )
        return self._caps[1]

    def record(self, tenant: str) -> GenerationRecord:
        """Give the generation served. UnavailableError before the first."""
        self.current(tenant)
        if self._record is None:
            raise UnavailableError("no model is loaded yet; publish one first")
        return self._record

    def held_record(self, generation: int) -> GenerationRecord | None:
        """Give a generation that is in memory for arms of experiments; None when it is there no more."""
        return self._held.record(generation)

    def nudge(self) -> None:
        """Ask for news at once instead of at the next poll."""
        self._nudged.set()

    async def follow(self) -> None:
        """Ask Redis for news for ever. Runs as a task."""
        while True:
            try:
                async with asyncio.timeout(self._settings.poll_interval):
                    await self._nudged.wait()
            except TimeoutError:
                pass
            self._nudged.clear()
            await self.refresh()

    async def refresh(self) -> None:
        """Bring catalogue and model up to what Redis has. A failure keeps the last good ones; it does not raise."""
        try:
            async with self._lock:
                await self._refresh()
        except Exception as error:  # noqa: BLE001 - whatever damaged thing lies in Redis, the last good one goes on serving
            if not self._failing:
                self._log.warning("what redis holds cannot be loaded", exc_info=not isinstance(error, DangolError))
            self._failing = True
        else:
            if self._failing:
                self._log.info("what redis holds can be loaded again")
            self._failing = False
        self._on_change()

    async def catch_up(self, tenant: str, version: int) -> None:
        """Return when the catalogue served is at least at ``version``, or when Redis fails meanwhile."""
        self._check(tenant)
        if self._catalog.version < version:
            await self.refresh()

    async def _refresh(self) -> None:
        tenant = self._settings.tenant
        await self._let_go()
        heads = await self._models.heads(tenant)
        record = heads.pointer
        self._keeps_records = self._keeps_records or heads.keeps_records
        if record is None and self._record is not None:
            # A shop that was served does not lose its model by itself: Redis was emptied, and its catalogue with it.
            raise UnavailableError("redis names no generation any more")
        # Before the first snapshot nobody is answered who could be held up.
        pace = unpaced if self._snapshot is None else Turns()
        catalog, model = self._catalog, self._snapshot.model if self._snapshot is not None else None
        with _no_collections():
            if heads.catalog_version != catalog.version:
                catalog = await self._catalogs.follow(tenant, catalog, pace)
            if record is not None and not self._serves(record):
                items = await self._models.load_items(tenant, record)
                vocabulary = await self._on_thread(partial(items.vocabulary.sharing, catalog.items))
                model = served_model(record, replace(items, vocabulary=vocabulary))
            versions = models_of(catalog.experiments.values()) - {record.model_version if record is not None else ""}
            await self._held.refresh(tenant, versions)
            if model is not None:
                await self._build(catalog, model, pace)
        self._catalog = catalog
        if record is not None:
            if not self._serves(record):
                self._log.info("serving", generation=record.generation, model_version=record.model_version)
            self._record = record
            self._confirmed = time.monotonic()

    def _serves(self, record: GenerationRecord) -> bool:
        return self._record is not None and self._record.generation == record.generation

    async def _build(self, catalog: Catalog, model: ServedModel, pace: Pace) -> None:
        """Put a snapshot of a catalogue and the models in the place of the one before, unless that is of these."""
        previous, held = self._snapshot, self._held.models
        if previous is not None and previous.is_of(catalog, model, held):
            return
        build = partial(build_snapshot, catalog, model, time.time(), previous, held, pace)
        self._snapshot = current = await self._on_thread(build)
        if previous is not None:
            self._leftovers = await self._on_thread(partial(previous.leftovers, current))

    async def _let_go(self) -> None:
        """Let what only the snapshot before the current one held go in turns: all at once it would hold calls up."""
        if self._leftovers:
            leftovers, self._leftovers = self._leftovers, []
            await self._on_thread(partial(_empty, leftovers, Turns()))

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _check(self, tenant: str) -> None:
        if tenant != self._settings.tenant:
            raise NotFoundError("this server serves another tenant")


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Keep the collector from what is made meanwhile, if that is much: it lives long and holds no cycles.

    Walking over hundreds of thousands of objects would hold calls up, again and again. Counting references frees them.
    """
    gc.disable()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        yield
    finally:
        if gc.get_count()[0] > _MANY_OBJECTS:
            gc.freeze()
        gc.enable()


def _empty(leftovers: list[object], pace: Pace) -> None:
    while leftovers:
        del leftovers[-_AT_ONCE:]
        pace()
