"""Brings artifacts into Redis as generations, moves between them, and fills a Redis that lost everything.

To publish: a generation is written beside the one that is served, and the pointer moves last. Whoever dies on the way
leaves what is served untouched; what they wrote is removed by the next sweep.
"""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import chain, repeat
from pathlib import Path

from models.artifact import Artifact
from models.erasures import ErasureList
from models.errors import DangolError, NotFoundError, PreconditionError
from models.events import Event
from models.experiments import models_of
from models.fold_model import encode_fold_model, fold_model_of
from models.progress import Progress
from models.registry import Registry
from models.terms import Cap
from service.store.archive import Archive
from service.store.budget_store import redeem_blocking, redemptions_among
from service.store.catalog_store import apply_blocking
from service.store.customer_exports import restore_customers
from service.store.erased_lists import erased_among, without_erased
from service.store.erasure_store import read_erasures, restore_erasures
from service.store.event_log import EventLogSettings, append_blocking
from service.store.exports import read_catalog, read_events
from service.store.generation_record import Gate, GenerationRecord
from service.store.generation_store import GenerationStore
from service.store.generation_sweep import RETIRED_LIFE, sweep


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Says what a rebuild brought back; ``generation`` is None when the registry names no current model.

    ``held`` are the versions that arms of running experiments name; ``lost`` those of which the registry has no model.
    """

    generation: GenerationRecord | None
    catalog_records: int
    events: int
    customers: int = 0
    held: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def publish(
    registry: Registry,
    version: str | None,
    store: GenerationStore,
    tenant: str,
    progress: Progress,
    retired_life: timedelta = RETIRED_LIFE,
) -> GenerationRecord:
    """Write a model (None: the registry's CURRENT) as a new generation, and make it the one that is served.

    The generation served before stays for ``retired_life``, for a roll back. Raises NotFoundError and ArtifactError
    before anything is written, PreconditionError when no model is current, ConflictError when somebody else moved the
    pointer meanwhile, UnavailableError when Redis fails; nothing of this call is served then.
    """
    version = _named(registry, version)
    artifact = _verified(registry, version, store, tenant, progress)
    expected = store.overview(tenant).live_generation

    def go_live(record: GenerationRecord) -> GenerationRecord:
        return store.go_live(tenant, record, expected)

    gate = _gate_of(registry, version)
    return _write_generation(artifact, gate, store, tenant, progress, go_live, retired_life)


def hold(
    registry: Registry, version: str | None, store: GenerationStore, tenant: str, progress: Progress
) -> GenerationRecord:
    """Keep a generation of a version (None: the registry's CURRENT) beside the one that is served, until its release.

    Arms of experiments may name it then. It is written unless Redis has one. Errors as of :func:`publish`; the pointer
    stays where it is, whatever happens.
    """
    version = _named(registry, version)
    try:
        held = store.hold(tenant, version)
    except NotFoundError:
        artifact = _verified(registry, version, store, tenant, progress)
        gate = _gate_of(registry, version)
        return _write_generation(artifact, gate, store, tenant, progress, partial(store.set_beside, tenant))
    sweep(store, tenant, progress)
    return held


def release(version: str, store: GenerationStore, tenant: str, progress: Progress) -> GenerationRecord:
    """Let a version that is held expire, unless it is served. NotFoundError when it is not held."""
    record = store.release(tenant, version)
    sweep(store, tenant, progress)
    return record


def roll_back(registry: Registry | None, store: GenerationStore, tenant: str, progress: Progress) -> GenerationRecord:
    """Serve the generation that was live before, and name its version in the registry's CURRENT.

    The pointer moves first, within a second; then the lists are kept from expiring. PreconditionError when no earlier
    generation is left.
    """
    record = store.roll_back(tenant)
    return _moved(registry, store, tenant, record, "roll back", progress)


def promote(
    registry: Registry | None,
    version: str,
    store: GenerationStore,
    tenant: str,
    progress: Progress,
    *,
    force: bool = False,
) -> GenerationRecord:
    """Serve the newest generation of a version that is published, and name it in the registry's CURRENT.

    NotFoundError when Redis holds none: publish it. PreconditionError unless the gate had let it through, or ``force``.
    """
    record = store.promote(tenant, version, force=force)
    return _moved(registry, store, tenant, record, "promote", progress)


def rebuild(
    registry: Registry,
    store: GenerationStore,
    tenant: str,
    progress: Progress,
    *,
    catalog_file: Path | None = None,
    archive: Archive | None = None,
    events_file: Path | None = None,
    customers_file: Path | None = None,
    event_settings: EventLogSettings | None = None,
) -> Rebuilt:
    """Fill an emptied Redis: the current model, the catalogue from its export, the events from archive and export.

    Models that arms of the catalogue's running experiments name are held again, as far as the registry has them. May be
    repeated: what is there already is replaced by the same, and events count once. What is left out is passed over.
    Events of the archive do not enter the log, from which they would be archived again. InvalidInputError names the
    file and line that cannot be used, UnavailableError the archive.
    """
    store.check_layout(tenant)
    _restore_erasures(registry, store, tenant)
    catalog = _Catalogue()
    if catalog_file is not None:
        catalog = _restore_catalog(catalog_file, store, tenant, progress)
    archived = () if archive is None else ([entry.event for entry in page] for page in archive.events())
    exported = () if events_file is None else read_events(events_file)
    batches = chain(zip(archived, repeat(True)), zip(exported, repeat(False)))
    events = _restore_events(batches, catalog, store, tenant, event_settings, progress)
    customers = 0
    if customers_file is not None:
        with progress.stage("customers", None):
            customers = restore_customers(customers_file, store.connection, tenant)
    current = registry.current()
    generation = None if current is None else publish(registry, current, store, tenant, progress)
    held = _hold_those_known(registry, catalog.models, store, tenant, progress)
    lost = tuple(sorted(catalog.models.difference(held)))
    return Rebuilt(generation, catalog.records, events, customers, held, lost)


@dataclass(slots=True)
class _Catalogue:
    """Tells of a catalogue that is back: how many records, the offers of budgets and caps, the models of arms."""

    records: int = 0
    budgeted: dict[str, None] = field(default_factory=dict)
    capped: dict[str, tuple[Cap, ...]] = field(default_factory=dict)
    models: frozenset[str] = frozenset()


def _restore_catalog(file: Path, store: GenerationStore, tenant: str, progress: Progress) -> _Catalogue:
    found = _Catalogue()
    with progress.stage("catalogue", None) as stage:
        for change in read_catalog(file):
            apply_blocking(store.connection, tenant, change)
            found.budgeted |= {offer.offer_id: None for offer in change.offers if offer.budget is not None}
            found.capped |= {offer.offer_id: offer.caps for offer in change.offers if offer.caps}
            found.models |= models_of(change.experiments)
            found.records += len(change)
            stage.advance(len(change))
    return found


def _restore_events(
    batches: Iterable[tuple[list[Event], bool]],
    catalog: _Catalogue,
    store: GenerationStore,
    tenant: str,
    settings: EventLogSettings | None,
    progress: Progress,
) -> int:
    """Record batches, each with whether the archive has it, and count their events."""
    events = 0
    with progress.stage("events", None) as stage:
        for batch, is_archived in batches:
            append_blocking(store.connection, tenant, batch, settings, catalog.capped, archived=is_archived)
            redeem_blocking(store.connection, tenant, redemptions_among(batch, catalog.budgeted))
            events += len(batch)
            stage.advance(len(batch))
    return events


def _hold_those_known(
    registry: Registry, versions: frozenset[str], store: GenerationStore, tenant: str, progress: Progress
) -> tuple[str, ...]:
    known = tuple(sorted(versions.intersection(registry.versions())))
    for version in known:
        hold(registry, version, store, tenant, progress)
    return known


def _restore_erasures(registry: Registry, store: GenerationStore, tenant: str) -> None:
    """Tell a Redis that lost it who was erased, before anything of theirs could come back."""
    known = {erasure.receipt_id for erasure in read_erasures(store.connection, tenant)}
    lost = [erasure for erasure in ErasureList(registry.root).all() if erasure.receipt_id not in known]
    restore_erasures(store.connection, tenant, lost)


def _named(registry: Registry, version: str | None) -> str:
    version = version or registry.current()
    if version is None:
        raise PreconditionError("the registry has no current model: promote one, or name the version")
    return version


def _verified(registry: Registry, version: str, store: GenerationStore, tenant: str, progress: Progress) -> Artifact:
    """Open an artifact that is whole, and make sure that this Redis may be written to."""
    with progress.stage(f"verify {version}", None):
        artifact = registry.open(version)
        artifact.items()
    store.check_layout(tenant)
    _restore_erasures(registry, store, tenant)
    return artifact


def _write_generation(
    artifact: Artifact,
    gate: Gate,
    store: GenerationStore,
    tenant: str,
    progress: Progress,
    finish: Callable[[GenerationRecord], GenerationRecord],
    retired_life: timedelta = RETIRED_LIFE,
) -> GenerationRecord:
    """Write an artifact as a new generation and let ``finish`` say what it is there for; clean up, whatever happens."""
    sweep(store, tenant, progress, retired_life)
    manifest = artifact.manifest
    record = store.begin(tenant, manifest.model_version, manifest.last_event_time, gate)
    try:
        record = _write(artifact, store, tenant, record, progress)
        finished = finish(record)
    except BaseException:
        # When Redis itself failed this fails too; the lease then ends, and the next sweep cleans up.
        with contextlib.suppress(DangolError):
            store.abandon(tenant, record.generation)
            sweep(store, tenant, progress, retired_life)
        raise
    sweep(store, tenant, progress, retired_life)
    return finished


def _write(
    artifact: Artifact, store: GenerationStore, tenant: str, record: GenerationRecord, progress: Progress
) -> GenerationRecord:
    """Write everything of a generation, giving a sign of life with every chunk; give the record with its counts."""
    parts = store.write_items(tenant, record.generation, artifact.items_bytes())
    fold_model = fold_model_of(artifact)
    fold = encode_fold_model(fold_model) if fold_model is not None else b""
    fold_parts = store.write_fold(tenant, record.generation, fold)
    record = store.update(tenant, record, record)
    customers, erased = 0, store.erased(tenant)
    with progress.stage("publish lists", artifact.manifest.counts["customers"]) as stage:
        for table in artifact.lists():
            for count in store.write_lists(tenant, record.generation, without_erased(table, erased)):
                customers += count
                stage.advance(count)
            record = store.update(tenant, record, record)
    # Whoever erases somebody after this look finds the generation, and all of its lists.
    late = store.erased(tenant) - erased
    for table in artifact.lists() if late else ():
        store.remove_lists(tenant, record.generation, erased_among(table, late))
    return store.update(tenant, record, replace(record, customers=customers, parts=parts, fold_parts=fold_parts))


def _gate_of(registry: Registry, version: str) -> Gate:
    verdict = registry.verdict(version)
    if verdict is None:
        return Gate.UNASKED
    return Gate.PASSED if verdict.get("passed") is True else Gate.REFUSED


def _moved(
    registry: Registry | None,
    store: GenerationStore,
    tenant: str,
    record: GenerationRecord,
    note: str,
    progress: Progress,
) -> GenerationRecord:
    sweep(store, tenant, progress)
    if registry is not None and registry.current() != record.model_version:
        registry.promote(record.model_version, note)
    return record
