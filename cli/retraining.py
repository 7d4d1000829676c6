"""One retraining, from the archive of events to what is served: learn, gate, publish, and say what was done."""

import fcntl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.learning import sources_of
from cli.promotion import Passage, pass_gate, refit_from
from cli.publishing import RedisTarget, reaching
from cli.session import Session
from models.erasures import ErasureList
from models.errors import PreconditionError
from models.identities import first_ids
from models.manifest import Manifest
from models.progress import Progress
from models.registry import Registry
from service import publisher
from service.store.customer_exports import links_in
from service.store.erasure_store import read_erasures
from service.store.generation_store import GenerationStore
from training.config import ColumnMapping, TrainingConfiguration
from training.job import train

PUBLISHED, REFUSED, UNCHANGED = "published", "refused", "unchanged"
"""How a retraining ends: what it learned is served; the gate refused it; it is what was served before."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Says what a retraining learns from and how; ``keep`` models stay in the registry."""

    sources: list[str]
    archive: bool
    mapping: ColumnMapping
    configuration: TrainingConfiguration
    keep: int


@dataclass(frozen=True, slots=True)
class Retraining:
    """Says what one retraining did: ``outcome`` as above, ``generation`` the one that is served, 0 for none.

    ``started_from`` is the version whose factors the fit began with, None when it began anew; ``failed`` names the
    gate's checks that did not pass; ``pruned`` the versions that were deleted.
    """

    outcome: str
    model_version: str
    current: str | None
    generation: int
    events: int
    customers: int
    last_event_time: str
    started_from: str | None
    checks: int
    failed: tuple[str, ...]
    pruned: tuple[str, ...]
    seconds: float

    def document(self) -> dict[str, Any]:
        """Describe it for machines."""
        return asdict(self)

    def line(self) -> str:
        """Describe it for people."""
        learned = f"{self.model_version} learned from {self.events:,} events of {self.customers:,} customers"
        took = f"in {self.seconds:.0f} s, {'anew' if self.started_from is None else f'from {self.started_from} on'}"
        if self.outcome == REFUSED:
            stays = f"{self.current} stays current" if self.current else "nothing is current"
            return f"[red]✗[/red] {learned} {took}; refused ({', '.join(self.failed)}), {stays}"
        passed = f"{self.checks - len(self.failed)} of {self.checks} checks passed"
        change = "as before" if self.outcome == UNCHANGED else passed
        return f"[green]✓[/green] {learned} {took}; {change}; generation {self.generation} is served"


def retrain(session: Session, target: RedisTarget, recipe: Recipe, progress: Progress) -> Retraining:
    """Learn anew, and serve what was learned if the gate lets it through.

    Links of customers and erasures are those that Redis knows. PreconditionError when another retraining of the same
    registry goes on; InvalidInputError, UnavailableError and ArtifactError as training, gate and publisher raise them.
    """
    begin = time.monotonic()
    registry = session.registry()
    with _alone(registry.root):
        links = _heed_redis(session, target, registry)
        manifest, passage = _learn(session, recipe, registry, links, progress)
        generation = 0
        if passage is None or passage.promoted:
            generation = _serve(session, target, registry, manifest.model_version, progress)
        pruned = registry.prune(recipe.keep)
        current = registry.current()
    counts = manifest.counts
    return Retraining(
        outcome=UNCHANGED if passage is None else PUBLISHED if passage.promoted else REFUSED,
        model_version=manifest.model_version,
        current=current,
        generation=generation,
        events=counts["events"],
        customers=counts["customers"],
        last_event_time=manifest.last_event_time.isoformat(),
        started_from=manifest.metrics["started_from"],
        checks=len(passage.verdict.checks) if passage else 0,
        failed=tuple(check.name for check in passage.verdict.failed) if passage else (),
        pruned=tuple(pruned),
        seconds=round(time.monotonic() - begin, 1),
    )


def _learn(
    session: Session, recipe: Recipe, registry: Registry, links: Mapping[str, str], progress: Progress
) -> tuple[Manifest, Passage | None]:
    """Train, and ask the gate; None when the same model is current already."""
    mapping, configuration = recipe.mapping, recipe.configuration
    with sources_of(session, recipe.sources, recipe.archive) as sources:
        before = registry.current()
        manifest = train(sources, mapping, configuration, registry, progress, links, warm=True).manifest
        if manifest.model_version == before:
            return manifest, None
        refit = refit_from(registry, sources, mapping, configuration, progress, links)
        gate = configuration.gate
        return manifest, pass_gate(registry, manifest.model_version, gate, by="dangol retrain", refit=refit)


def _heed_redis(session: Session, target: RedisTarget, registry: Registry) -> Mapping[str, str]:
    """Write down beside the models who was erased, and give for each linked id the one that it is learned as."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        ErasureList(registry.root).add(read_erasures(connection, settings.tenant))
        return first_ids(links_in(connection, settings.tenant))


def _serve(session: Session, target: RedisTarget, registry: Registry, version: str, progress: Progress) -> int:
    """Publish a version unless it is served already, and give its generation."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        store = GenerationStore(connection)
        live = store.overview(settings.tenant).live
        if live is not None and live.model_version == version:
            return live.generation
        return publisher.publish(registry, version, store, settings.tenant, progress).generation


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let nobody else retrain into this registry meanwhile. The system ends the claim of whoever dies."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".retraining").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PreconditionError(f"another retraining into {root} goes on") from None
        yield
