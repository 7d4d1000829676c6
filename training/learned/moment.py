"""Everything fitted at one moment, from the events before it alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix, vstack

from training.config import TrainingConfiguration
from training.learned.families import Families, families_at
from training.learned.log import EventLog
from training.learned.pairs import Pairs, matrix_at, pairs_at
from training.learned.traits import customer_traits, item_traits
from training.sources.content import learn_content
from training.sources.item_weights import ItemWeights
from training.sources.kindred import Kindred, learn_kindred
from training.sources.local_ease import LocalEaseSettings, learn_local_ease
from training.sources.temporal_ridge import TemporalRidgeSettings, learn_temporal_ridge

LONGEST_HISTORY = 150
"""Columns of one customer that models are fitted and applied on: the largest ones."""

_RIDGE_WINDOWS = (1, 2, 3, 12, 13)
"""Windows that first purchases are learned from, counted back from the cut: the last ones, and those of last year."""

_EASE = LocalEaseSettings(customer_exponent=0.6, regularization=3.0, proposed_exponent=0.25)
_SLOW, _MIDDLE, _QUICK = 500.0, 120.0, 30.0
"""Half-lives in days of the histories that tell taste, what is due next, and what is bought lately."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Holds what scores the c columns.

    ``columns`` (c,) are ascending item rows, ``place`` (items,) leads back or is -1. ``histories`` and ``tastes``
    (customers, c) are what the models are applied to; ``speakers`` are the weights of the linear ones by column;
    ``trend`` (c,) float32 is the same for everyone: recent and new buyers.
    """

    columns: NDArray[np.int64]
    place: NDArray[np.int64]
    histories: csr_matrix
    tastes: csr_matrix
    ease: ItemWeights
    ridge: ItemWeights
    content: ItemWeights
    speakers: tuple[csc_matrix, csc_matrix, csc_matrix]
    kindred: Kindred
    trend: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moment:
    """Joins what is known and fitted at the second ``cut``; ``items`` and ``customers`` as in ``traits``."""

    cut: int
    pairs: Pairs
    items: NDArray[np.float32]
    customers: NDArray[np.float32]
    families: Families
    sources: Sources


def moment_at(log: EventLog, cut: int, span: int, configuration: TrainingConfiguration) -> Moment:
    """Fit everything at a cut; ``span`` is the length of a window in seconds."""
    half_life = configuration.event_weights()[configuration.target].half_life_days
    pairs = pairs_at(log, cut, half_life)
    sources = _sources_at(log, pairs, cut, span, configuration)
    items, customers = item_traits(log, pairs, cut), customer_traits(log, pairs, cut)
    return Moment(cut, pairs, items, customers, families_at(pairs, items, log.attributes.families), sources)


def _sources_at(log: EventLog, pairs: Pairs, cut: int, span: int, configuration: TrainingConfiguration) -> Sources:
    columns = _liveliest(log, cut, configuration.learned.columns)
    place = np.full(log.items, -1, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    tastes = matrix_at(log, cut, _SLOW, columns, LONGEST_HISTORY)
    lately = matrix_at(log, cut, _QUICK, columns, LONGEST_HISTORY)
    used, nothing = configuration.learned.sources, _silent(len(columns))
    threads, seed = configuration.resources.threads, configuration.seed
    ease = learn_local_ease(tastes, _EASE, seed, threads) if "ease" in used else nothing
    ridge = _ridge_at(log, cut, span, columns, place) if "ridge" in used else nothing
    content = learn_content(log.attributes.words[columns]) if "content" in used else nothing
    return Sources(
        columns=columns,
        place=place,
        histories=matrix_at(log, cut, _MIDDLE, columns, LONGEST_HISTORY),
        tastes=tastes,
        ease=ease,
        ridge=ridge,
        content=content,
        speakers=(ease.weights.tocsc(), ridge.weights.tocsc(), content.weights.tocsc()),
        kindred=learn_kindred(tastes if "kindred" in used else csr_matrix(tastes.shape), lately, seed),
        trend=_trend(log, pairs, cut, columns) * np.float32("trend" in used),
    )


def _silent(columns: int) -> ItemWeights:
    """Give weights that speak for nothing."""
    empty = np.empty(0, dtype=np.int64)
    return ItemWeights(csr_matrix((empty.astype(np.float32), (empty, empty)), shape=(columns, columns)))


def _liveliest(log: EventLog, cut: int, most: int) -> NDArray[np.int64]:
    """Give the rows of the items with the largest sales of the last months, ascending."""
    known = log.is_target & (log.second < cut)
    sales = np.bincount(log.item[known], np.exp2(-log.ages_at(cut)[known] / np.float32(60)), log.items)
    best = np.argsort(-sales, kind="stable")[:most]
    return np.sort(best[sales[best] > 0])


def _ridge_at(log: EventLog, cut: int, span: int, columns: NDArray[np.int64], place: NDArray[np.int64]) -> ItemWeights:
    """Fit on windows before the cut: the history before each, and what was bought in it for the first time."""
    oldest = int(log.second.min())
    firsts = [first for number in _RIDGE_WINDOWS if (first := cut - number * span) > oldest] or [oldest]
    histories = [matrix_at(log, first, _MIDDLE, columns, LONGEST_HISTORY) for first in firsts]
    targets = [_firsts_within(log, first, first + span, place, len(columns)) for first in firsts]
    return learn_temporal_ridge(vstack(histories, format="csr"), vstack(targets, format="csr"), TemporalRidgeSettings())


def _firsts_within(log: EventLog, first: int, stop: int, place: NDArray[np.int64], columns: int) -> csr_matrix:
    """Give what customers bought for the first time in a window, (customers, columns) of 0 and 1."""
    chosen = log.is_first & (log.second >= first) & (log.second < stop) & (place[log.item] >= 0)
    ones = np.ones(int(chosen.sum()), dtype=np.float32)
    return csr_matrix((ones, (log.customer[chosen], place[log.item[chosen]])), shape=(log.customers, columns))


def _trend(log: EventLog, pairs: Pairs, cut: int, columns: NDArray[np.int64]) -> NDArray[np.float32]:
    ages = log.ages_at(cut)
    newly = log.is_first & (ages > 0) & (ages <= _QUICK)
    counts = (
        np.bincount(log.item[newly], minlength=log.items)[columns],
        np.bincount(pairs.item[pairs.last_age <= _QUICK], minlength=log.items)[columns],
    )
    trend = np.zeros(len(columns), dtype=np.float32)
    for count in counts:
        trend += (np.log1p(count) / max(float(np.log1p(count).max(initial=0)), 1e-12)).astype(np.float32)
    return trend
