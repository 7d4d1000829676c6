"""Everything fitted at one moment, from the events before it alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.config import TrainingConfiguration
from training.learned.families import Families, families_at
from training.learned.groups import Groups, groups_at
from training.learned.log import EventLog
from training.learned.models import QUICK, Known, Model, learn_models
from training.learned.pairs import Pairs, pairs_at
from training.learned.traits import customer_traits, item_traits


@dataclass(frozen=True, slots=True)
class Sources:
    """Holds what scores the c columns.

    ``columns`` (c,) are ascending item rows, ``place`` (items,) leads back or is -1; ``models`` are those that the
    configuration chose. ``trend`` (c,) float32 is the same for everyone: recent and new buyers.
    """

    columns: NDArray[np.int64]
    place: NDArray[np.int64]
    models: Sequence[Model]
    trend: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moment:
    """Joins what is known and fitted at the second ``cut``; ``items`` and ``customers`` as in ``traits``."""

    cut: int
    pairs: Pairs
    items: NDArray[np.float32]
    customers: NDArray[np.float32]
    families: Families
    groups: Groups
    sources: Sources


def moment_at(log: EventLog, cut: int, span: int, configuration: TrainingConfiguration) -> Moment:
    """Fit everything at a cut; ``span`` is the length of a window in seconds."""
    half_life = configuration.event_weights()[configuration.target].half_life_days
    pairs = pairs_at(log, cut, half_life)
    sources = _sources_at(log, pairs, cut, span, configuration)
    items, customers = item_traits(log, pairs, cut), customer_traits(log, pairs, cut)
    families = families_at(pairs, items, log.attributes.families)
    groups = groups_at(pairs, log.attributes.customers, sources.place, len(sources.columns))
    return Moment(cut, pairs, items, customers, families, groups, sources)


def _sources_at(log: EventLog, pairs: Pairs, cut: int, span: int, configuration: TrainingConfiguration) -> Sources:
    columns = _liveliest(log, cut, configuration.learned.columns)
    threads, chosen = configuration.resources.threads, configuration.learned.sources
    known = Known.at(log, cut, span, columns, configuration.factors, configuration.seed, threads)
    trend = _trend(log, pairs, cut, columns) * np.float32("trend" in chosen)
    return Sources(columns, known.place, learn_models(known, chosen), trend)


def _liveliest(log: EventLog, cut: int, most: int) -> NDArray[np.int64]:
    """Give the rows of the items with the largest sales of the last months, ascending."""
    known = log.is_target & (log.second < cut)
    sales = np.bincount(log.item[known], np.exp2(-log.ages_at(cut)[known] / np.float32(60)), log.items)
    best = np.argsort(-sales, kind="stable")[:most]
    return np.sort(best[sales[best] > 0])


def _trend(log: EventLog, pairs: Pairs, cut: int, columns: NDArray[np.int64]) -> NDArray[np.float32]:
    ages = log.ages_at(cut)
    newly = log.is_first & (ages > 0) & (ages <= QUICK)
    counts = (
        np.bincount(log.item[newly], minlength=log.items)[columns],
        np.bincount(pairs.item[pairs.last_age <= QUICK], minlength=log.items)[columns],
    )
    trend = np.zeros(len(columns), dtype=np.float32)
    for count in counts:
        trend += (np.log1p(count) / max(float(np.log1p(count).max(initial=0)), 1e-12)).astype(np.float32)
    return trend
