"""The gate: a model goes into service only if it is better than what it stands beside, beyond noise, and sound."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from models.artifact import Artifact
from training import rails
from training.backtests import judged_by, lists_of
from training.checks import Check
from training.config import GateSettings
from training.evaluation import (
    OURS,
    OWN_FREQUENCY,
    POPULAR_NOW,
    Comparison,
    compare,
    comparisons_of,
    measure,
    rows_of,
    rows_of_table,
)
from training.in_service import InService, same_recipe
from training.scopes import split_metric

IN_SERVICE = "in-service"
"""Names the lists of the model in service, beside ``dangol``, those of the new one."""

_TRIVIAL = (OWN_FREQUENCY, POPULAR_NOW)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says whether a model may go into service, by which checks; ``against`` is the version in service, if any.

    ``way`` says how the two were compared, empty when they could not be. ``rows`` and ``comparisons`` are as in a
    manifest's evaluation, with ``in-service`` for the lists of the one in service.
    """

    model_version: str
    against: str | None
    way: str
    checks: Sequence[Check]
    rows: Sequence[Mapping[str, Any]]
    comparisons: Sequence[Mapping[str, Any]]

    @property
    def passed(self) -> bool:
        """Tell whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> Sequence[Check]:
        """Give the checks that did not pass."""
        return [check for check in self.checks if not check.passed]

    def document(self) -> dict[str, Any]:
        """Give the verdict as JSON."""
        return asdict(self) | {"passed": self.passed}


def judge(candidate: Artifact, current: Artifact | None, rival: InService | None, settings: GateSettings) -> Verdict:
    """Judge a model before it goes into service; ``rival`` holds the lists of the one in service, if they are known.

    The first model of all only has to be sound, and not worse than the trivial lists.
    """
    rows, comparisons = against_service(candidate, rival)
    checks = chain(
        _beside_trivial(candidate, settings, first=current is None),
        _beside_service(candidate, current, rows, comparisons, settings),
        rails.sound(candidate),
        rails.unlike(candidate, current, settings) if current else (),
    )
    against = current.manifest.model_version if current else None
    version, way = candidate.manifest.model_version, rival.way if rival else ""
    return Verdict(version, against, way, list(checks), rows, [asdict(entry) for entry in comparisons])


def against_service(
    candidate: Artifact, rival: InService | None
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Comparison]]:
    """Measure the lists of the model in service as those of the new one were, and take the differences.

    Both are taken as far down as both are known. Gives rows and comparisons, both empty where there is nothing to
    compare.
    """
    backtest = candidate.backtest()
    if backtest is None or rival is None:
        return [], []
    judged = judged_by(backtest, candidate.manifest.counts["items"])
    ours = lists_of(backtest)
    width = min(ours.shape[1], rival.lists.shape[1])
    table = measure(judged, {OURS: ours[:, :width], IN_SERVICE: rival.lists[:, :width]})
    seed = int(candidate.manifest.configuration.get("seed", 0))
    comparisons = comparisons_of({"comparisons": compare(table, OURS, [IN_SERVICE], seed)})
    theirs = {key: named for key, named in table.items() if key[0] == IN_SERVICE}
    return rows_of_table(theirs, seed, {}), comparisons


def _beside_trivial(candidate: Artifact, settings: GateSettings, *, first: bool) -> Iterator[Check]:
    evaluation = candidate.manifest.metrics.get("evaluation") or {}
    found = {(entry.against, entry.scope, entry.metric): entry for entry in comparisons_of(evaluation)}
    for metric in settings.metrics:
        for trivial in _TRIVIAL:
            comparison = found.get((trivial, *split_metric(metric)))
            name = f"{metric} against {trivial}"
            if comparison is not None:
                yield _not_worse(name, comparison) if first else _better(name, comparison)
            elif not first:
                yield Check(name, False, "not measured", "better beyond noise")


def _beside_service(
    candidate: Artifact,
    current: Artifact | None,
    rows: Sequence[Mapping[str, Any]],
    comparisons: Sequence[Comparison],
    settings: GateSettings,
) -> Iterator[Check]:
    """Ask for more than the one in service, or, of the same recipe learned from newer days, for no less."""
    if current is None:
        return
    equal = same_recipe(candidate, current)
    found = {(entry.scope, entry.metric): entry for entry in comparisons}
    theirs = {row.scope: row.values for row in rows_of({"rows": rows})}
    for metric in (*settings.metrics, *settings.held):
        scope, measured = split_metric(metric)
        name, comparison = f"{metric} against {IN_SERVICE}", found.get((scope, measured))
        if comparison is None and metric in settings.metrics:
            yield Check(name, False, "not measured", "better beyond noise")
        elif comparison is not None and metric in settings.metrics and not equal:
            yield _better(name, comparison)
        elif comparison is not None:
            yield _held(name, comparison, settings.tolerance * theirs[scope][measured])


def _better(name: str, comparison: Comparison) -> Check:
    return Check(name, comparison.interval[0] > 0, _difference(comparison), "better beyond noise")


def _not_worse(name: str, comparison: Comparison) -> Check:
    return Check(name, comparison.interval[1] >= 0, _difference(comparison), "not worse beyond noise")


def _held(name: str, comparison: Comparison, tolerated: float) -> Check:
    wanted = f"no loss beyond noise and {tolerated:.4f}"
    held = comparison.interval[1] >= 0 or comparison.difference >= -tolerated
    return Check(name, held, _difference(comparison), wanted)


def _difference(comparison: Comparison) -> str:
    low, high = comparison.interval
    return f"{comparison.difference:+.4f} (95 %: {low:+.4f} to {high:+.4f})"
