"""The gate's guard rails: whether a model is sound in itself, and not suspiciously unlike the one in service."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from statistics import median

import numpy as np

from models.artifact import Artifact
from models.errors import ArtifactError
from models.item_model import EVERYONE
from training.backtests import lists_of
from training.checks import Check, at_least, at_most
from training.config import GateSettings
from training.evaluation import OURS, rows_of
from training.in_service import translated, window_of
from training.list_facts import TOP, list_facts, overlaps
from training.metrics import Ratio
from training.resampling import intervals
from training.scopes import split_metric

_COMPARED_CUSTOMERS = 2_000
_ALIKE = 0.9
"""Where customers' lists overlap so much, there is nothing personal to be told by."""

_EMPTY_DAY, _SAME_WEEKDAYS = 0.1, 3
"""A day with less than this part of what its weekday brings is a gap, once so many such days are known."""


def sound(candidate: Artifact) -> Iterator[Check]:
    """Check what must hold of any model: finite factors, lists in order, and that they are those that were judged."""
    yield _factors(candidate)
    backtest = candidate.backtest()
    facts = list_facts(candidate, backtest.customer_ids if backtest else ())
    yield Check("lists in order", facts.ordered == 1, f"{facts.ordered:.2%}", "all by falling score, no item twice")
    yield at_least("lists that tell their items apart", facts.tells, 0.5)
    everyone, items = candidate.items().shared_lists[EVERYONE], candidate.manifest.counts["items"]
    yield at_least("everyone's list", len(everyone), min(TOP, items) / 2, " items")
    if backtest is None or len(backtest.customer_ids) < 2:
        return
    judged = lists_of(backtest)[:, :TOP]
    own, others = overlaps(facts.tops, judged), overlaps(facts.tops, np.roll(judged, 1, axis=0))
    seed = int(candidate.manifest.configuration.get("seed", 0))
    [[low, _]] = intervals([Ratio(own - others, np.ones(len(own)))], seed)
    found = f"own {own.mean():.2f}, others' {others.mean():.2f}"
    passed = bool(low > 0 or others.mean() >= _ALIKE)
    yield Check("lists are those that were judged", passed, found, "more like their own than others'")


def unlike(candidate: Artifact, current: Artifact, settings: GateSettings) -> Iterator[Check]:
    """Check that a model is not, in data, level or lists, much less than the one in service, nor quite another."""
    yield from _data(candidate, current, settings)
    yield from _level(candidate, current, settings)
    yield from _likeness_to_judged(candidate, current, settings)
    ids = next(candidate.lists()).customer_ids
    ids = ids[:: max(1, len(ids) // _COMPARED_CUSTOMERS)]
    ours, theirs = list_facts(candidate, ids), list_facts(current, ids)
    yield at_least("customers with full lists", ours.full, settings.full_lists * theirs.full)
    yield at_least("candidates per list", ours.length, settings.coverage * theirs.length)
    yield at_least(f"coverage@{TOP}", ours.coverage, settings.coverage * theirs.coverage)
    yield at_least(f"personalization@{TOP}", ours.personalization, settings.coverage * theirs.personalization)
    yield at_most("bytes of lists per customer", ours.bytes, settings.size * theirs.bytes)
    yield at_least("items with neighbours", _with_neighbors(candidate), settings.coverage * _with_neighbors(current))
    their_tops = translated(theirs.tops, list(current.items().vocabulary), list(candidate.items().vocabulary))
    known = (theirs.tops >= 0).any(axis=1)
    shared = overlaps(ours.tops[known], their_tops[known]) if known.any() else np.zeros(1)
    yield at_least(f"overlap@{TOP} with the lists in service", float(shared.mean()), settings.overlap)


def _factors(candidate: Artifact) -> Check:
    try:
        factors = candidate.factors()
    except ArtifactError as error:
        return Check("factors", False, error.problem, "finite, one for each item")
    told = bool(factors.any())
    return Check("factors", told, "finite" if told else "all zero", "finite, not all zero")


def _with_neighbors(artifact: Artifact) -> float:
    return float((artifact.items().neighbor_counts > 0).mean())


def _data(candidate: Artifact, current: Artifact, settings: GateSettings) -> Iterator[Check]:
    ours, theirs = candidate.manifest, current.manifest
    for name in ("customers", "items", "interactions"):
        yield at_least(name, ours.counts[name], settings.data * theirs.counts[name])
    newer = ours.last_event_time >= theirs.last_event_time
    found, wanted = (f"{manifest.last_event_time:%Y-%m-%d %H:%M}" for manifest in (ours, theirs))
    yield Check("last event", newer, found, f"not before {wanted}")
    days, their_days = (manifest.metrics.get("days", {}) for manifest in (ours, theirs))
    common = [day for day in sorted(their_days) if day >= min(days, default="")]
    lost = [day for day in common if days.get(day, 0) < settings.data * their_days[day]]
    yield Check("days that lost events", not lost, _named(lost), "none")
    gaps = _gaps(days, max(their_days, default=""))
    yield Check("days with hardly any events", not gaps, _named(gaps), "none since the model in service")


def _gaps(days: Mapping[str, int], after: str) -> list[str]:
    """Find whole days after another day that have far fewer events than the same weekday brings."""
    if not days:
        return []
    first, last = date.fromisoformat(min(days)), date.fromisoformat(max(days))
    counts = {first + timedelta(days=number): 0 for number in range((last - first).days)}
    counts |= {day: days.get(day.isoformat(), 0) for day in counts}
    gaps = []
    for day, count in counts.items():
        alike = [other for when, other in counts.items() if when != day and when.weekday() == day.weekday()]
        if day.isoformat() > after and len(alike) >= _SAME_WEEKDAYS and count < _EMPTY_DAY * median(alike):
            gaps.append(day.isoformat())
    return gaps


def _level(candidate: Artifact, current: Artifact, settings: GateSettings) -> Iterator[Check]:
    """Compare what both reached, each in its own window: whoever learns from broken data is beaten by nobody on it."""
    ours, theirs = _levels(candidate), _levels(current)
    for metric in settings.metrics:
        scope, measured = split_metric(metric)
        if scope in theirs:
            found = ours.get(scope, {}).get(measured, 0.0)
            yield at_least(f"level of {metric}", found, settings.level * theirs[scope][measured])


def _levels(artifact: Artifact) -> Mapping[str, Mapping[str, float]]:
    evaluation = artifact.manifest.metrics.get("evaluation") or {}
    return {row.scope: row.values for row in rows_of(evaluation) if row.lists == OURS}


def _likeness_to_judged(candidate: Artifact, current: Artifact, settings: GateSettings) -> Iterator[Check]:
    """Compare how much the lists are like those that were judged a window earlier, in both models."""
    found, usual = _likeness(candidate), _likeness(current)
    if found is not None and usual is not None:
        yield at_least("likeness to the lists that were judged", found, settings.level * usual)


def _likeness(artifact: Artifact) -> float | None:
    """Average the overlap with what the same customers would have been given a window earlier, None when not known."""
    backtest = artifact.backtest()
    if backtest is None or window_of(artifact)[0] > artifact.manifest.last_event_time:
        return None
    tops = list_facts(artifact, backtest.customer_ids).tops
    return float(overlaps(tops, lists_of(backtest)[:, :TOP]).mean())


def _named(days: list[str]) -> str:
    return ", ".join(days[:5]) + (" and more" if len(days) > 5 else "") if days else "none"
