"""Promotion through the gate, as every command that trains or promotes does it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from cli.output import plain_table
from models.progress import Progress
from models.registry import Registry
from training.config import ColumnMapping, GateSettings, TrainingConfiguration
from training.gate import Verdict, judge
from training.in_service import Refit, in_service
from training.job import lists_before


@dataclass(frozen=True, slots=True)
class Passage:
    """Says what the gate said of a version and whether it was promoted, perhaps in spite of it."""

    verdict: Verdict
    promoted: bool

    @property
    def forced(self) -> bool:
        """Tell whether it was promoted in spite of the gate."""
        return self.promoted and not self.verdict.passed

    def document(self) -> dict[str, Any]:
        """Describe it for machines, as it is kept in the registry."""
        return self.verdict.document() | {"promoted": self.promoted, "forced": self.forced}


def pass_gate(
    registry: Registry,
    version: str,
    settings: GateSettings,
    *,
    by: str,
    force: bool = False,
    refit: Refit | None = None,
) -> Passage:
    """Promote a version if the gate lets it through, or in spite of the gate when forced, and say what the gate said.

    The verdict is kept in the registry; the history of promotions names ``by`` whom, and what a forced one failed.
    ArtifactError when a file of the version is damaged, forced or not.
    """
    candidate = registry.open(version)
    current_version = registry.current()
    current = None if current_version in (None, version) else registry.open(str(current_version))
    rival = in_service(candidate, current, refit) if current else None
    verdict = judge(candidate, current, rival, settings)
    passage = Passage(verdict, verdict.passed or force)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    registry.write_verdict(version, passage.document() | {"time": time})
    if passage.promoted:
        failed = ", ".join(check.name for check in verdict.failed)
        registry.promote(version, f"{by} --force, in spite of: {failed}" if passage.forced else by)
    return passage


def refit_from(
    registry: Registry,
    sources: Sequence[str],
    mapping: ColumnMapping,
    configuration: TrainingConfiguration,
    progress: Progress,
    first_ids: Mapping[str, str] | None = None,
) -> Refit:
    """Let the recipe in service learn from the sources of a new model, with the resources of its run."""

    def refit(
        recipe: TrainingConfiguration, until: datetime, customer_ids: Sequence[str]
    ) -> tuple[list[str], NDArray[np.int64]]:
        own = recipe.model_copy(update={"resources": configuration.resources})
        return lists_before(until, customer_ids, sources, mapping, own, registry, progress, first_ids)

    return refit


def show_verdict(console: Console, verdict: Mapping[str, Any] | None) -> None:
    """Print what the registry keeps of the gate's last word on a model."""
    if verdict is None:
        console.print("The gate has not been asked.")
        return
    failed = [check["name"] for check in verdict["checks"] if not check["passed"]]
    word = "forced" if verdict["forced"] else "let through" if verdict["promoted"] else "refused"
    about = f", in spite of: {', '.join(failed)}" if verdict["forced"] else f": {', '.join(failed)}" if failed else ""
    console.print(f"gate: {word} {verdict['time'][:10]}{about}")


def show_passage(console: Console, passage: Passage) -> None:
    """Print what the gate said: every check that failed, and what follows."""
    verdict = passage.verdict
    if verdict.failed:
        table = plain_table("refused by", "found", "wanted")
        for check in verdict.failed:
            table.add_row(f"[red]{check.name}[/red]", check.found, check.wanted)
        console.print(table)
    against = f" against {verdict.against} ({verdict.way or 'not comparable'})" if verdict.against else ""
    count = f"{len(verdict.checks) - len(verdict.failed)} of {len(verdict.checks)} checks passed{against}"
    if passage.promoted:
        forced = "[yellow]forced[/yellow], " if passage.forced else ""
        console.print(f"[green]✓[/green] {verdict.model_version} is current: {forced}{count}")
    else:
        stays = f"{verdict.against} stays current" if verdict.against else "nothing is current"
        console.print(f"[red]✗[/red] {verdict.model_version} was not promoted, {stays}: {count}")
