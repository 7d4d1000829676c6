"""Keeps what requests are answered from: polls Redis, builds aside, swaps; a failure keeps the last good one."""

import asyncio
import gc
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import structlog

from models.catalog import EMPTY_CATALOG, Catalog
from models.counters import NO_CAPS, OfferCaps
from models.errors import DangolError, NotFoundError, UnavailableError
from models.experiments import models_of
from models.offers import Offer
from models.terms import Budget
from service.decision.snapshot import Snapshot, build_snapshot
from service.handlers.held_models import HeldModels, served_model
from service.store.catalog_store import CatalogStore
from service.store.generation_record import GenerationRecord
from service.store.model_store import ModelStore

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""What a call leaves is freed by counting references; looking for cycles after every 700 objects finds next to none."""


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
        heads = await self._models.heads(tenant)
        record = heads.pointer
        self._keeps_records = self._keeps_records or heads.keeps_records
        if record is None and self._record is not None:
            # A shop that was served does not lose its model by itself: Redis was emptied, and its catalogue with it.
            raise UnavailableError("redis names no generation any more")
        catalog = self._catalog
        if heads.catalog_version != catalog.version:
            catalog = await self._news_of_catalog(tenant)
        model = self._snapshot.model if self._snapshot is not None else None
        if record is not None and (self._record is None or record.generation != self._record.generation):
            items = await self._models.load_items(tenant, record)
            vocabulary = items.vocabulary.sharing(catalog.items)
            model = served_model(record, replace(items, vocabulary=vocabulary))
        versions = models_of(catalog.experiments.values()) - {record.model_version if record is not None else ""}
        await self._held.refresh(tenant, versions)
        previous, held = self._snapshot, self._held.models
        if model is not None and (previous is None or not previous.is_of(catalog, model, held)):
            loop = asyncio.get_running_loop()
            self._snapshot = await loop.run_in_executor(
                self._executor, build_snapshot, catalog, model, time.time(), previous, held
            )
            # Hundreds of thousands of objects that live long and hold no cycles: the collector need not walk them
            # again and again while calls wait. Counting references still frees them.
            gc.freeze()
            gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
        self._catalog = catalog
        if record is not None:
            if self._record is None or record.generation != self._record.generation:
                self._log.info("serving", generation=record.generation, model_version=record.model_version)
            self._record = record
            self._confirmed = time.monotonic()

    async def _news_of_catalog(self, tenant: str) -> Catalog:
        catalog = self._catalog
        if catalog is EMPTY_CATALOG:
            return await self._catalogs.load(tenant)
        changes = await self._catalogs.changes_since(tenant, catalog.version)
        if changes is None:
            return await self._catalogs.load(tenant)
        for change in changes:
            catalog = catalog.apply(change)
        return catalog

    def _check(self, tenant: str) -> None:
        if tenant != self._settings.tenant:
            raise NotFoundError("this server serves another tenant")
