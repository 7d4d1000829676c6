"""Lists against what came later, beside the trivial lists that a model has to beat, and how far it may be chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.candidates import BOUGHT_FLAG, Source
from training import metrics, variety
from training.calibration import calibration
from training.chunk import Chunk, best_per_owner, chunk_of
from training.features import Cutoff
from training.metrics import Hits, Labels, Ratio, hits_of
from training.ranking import RankedLists
from training.resampling import chances, intervals
from training.scopes import ALL, SCOPES, Judged, judged_of
from training.sources.popular import Popular
from training.sources.source import NOTHING

OURS, OWN_FREQUENCY, POPULAR_NOW = "dangol", "own-frequency", "popular-now"
PLACES = (10, 20, 50)
MAIN_PLACES = PLACES[1]
"""Where a difference is tested, and variety is measured."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """Is one line of the table: how good one kind of list was for some customers, and between which bounds."""

    lists: str
    scope: str
    customers: int
    values: Mapping[str, float]
    intervals: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Is a paired difference over the same customers: ``difference`` above 0 where ``lists`` is the better one.

    ``interval`` is its bootstrap interval of 95 %, ``chance`` that of a difference as large between equal lists.
    """

    lists: str
    against: str
    scope: str
    metric: str
    difference: float
    interval: Sequence[float]
    chance: float


@dataclass(frozen=True, slots=True)
class EvaluationSetting:
    """Says what is evaluated: the label window in UTC seconds, its customers and how many of them were drawn."""

    first_second: int
    stop_second: int
    customers_in_window: int
    customer_rows: NDArray[np.int64]
    labels: Labels
    seed: int


def evaluate(
    setting: EvaluationSetting,
    cutoff: Cutoff,
    ranked: RankedLists,
    others: Mapping[str, NDArray[np.int64]] | None = None,
) -> dict[str, Any]:
    """Compare our lists (n, k), the trivial ones and ``others`` (n, any) with the labels; JSON for the manifest."""
    interactions, labels = cutoff.interactions, setting.labels
    chunk = chunk_of(interactions, setting.customer_rows)
    width = ranked.item_rows.shape[1]
    rivals = {
        OURS: ranked.item_rows,
        OWN_FREQUENCY: own_frequency(chunk, width),
        POPULAR_NOW: Popular(interactions.recent_buyers, width).propose(chunk).item_rows,
        **(others or {}),
    }
    table = measure(judged_of(labels, chunk), rivals)
    known = interactions.buyers(0) > 0
    return {
        "window": {"first_time": _iso(setting.first_second), "stop_time": _iso(setting.stop_second)},
        "customers_in_window": setting.customers_in_window,
        "customers_evaluated": len(setting.customer_rows),
        "unknown_items_share": round(float((~known[labels.item_rows]).mean()) if len(labels.owners) else 0.0, 6),
        "rows": rows_of_table(table, setting.seed, _variety(rivals, chunk, cutoff)),
        "comparisons": compare(table, OURS, [name for name in rivals if name != OURS], setting.seed),
        "popularity": {
            name: variety.by_popularity(
                lists[:, :MAIN_PLACES], interactions.buyers(), labels.item_rows, np.flatnonzero(known)
            )
            for name, lists in rivals.items()
        },
        "sources": _source_shares(ranked, labels),
        "calibration": _calibration(ranked, labels),
    }


def rows_of(evaluation: Mapping[str, Any]) -> Sequence[MetricRow]:
    """Read the table out of a manifest's ``metrics["evaluation"]``; empty when nothing was evaluated."""
    return [
        MetricRow(row["lists"], row["scope"], row["customers"], row["values"], row.get("intervals", {}))
        for row in evaluation.get("rows", ())
    ]


def comparisons_of(evaluation: Mapping[str, Any]) -> Sequence[Comparison]:
    """Read the paired differences out of a manifest's ``metrics["evaluation"]``; empty where there are none."""
    return [Comparison(**entry) for entry in evaluation.get("comparisons", ())]


Table = Mapping[tuple[str, str], Mapping[str, Ratio]]
"""Measures by name, for each pair of lists and scope that has any customer."""


def measure(judged: Judged, rivals: Mapping[str, NDArray[np.int64]]) -> Table:
    """Measure lists (n, k) by name, in every scope and every band of activity that has something to be found."""
    table: dict[tuple[str, str], Mapping[str, Ratio]] = {}
    for scope in SCOPES:
        labels = judged.labels_in(scope)
        if len(labels.owners) == 0 and scope.name != ALL:
            continue
        for name, lists in rivals.items():
            hits = hits_of(judged.lists_in(scope, lists), labels)
            table[name, scope.name] = measures(hits)
            if scope.name == ALL:
                for band, members in judged.activity():
                    table[name, band] = measures(hits.only(members))
    return table


def measures(hits: Hits) -> Mapping[str, Ratio]:
    """Give every measure by its name."""
    named = {"mrr": metrics.reciprocal_rank(hits)}
    for k in PLACES:
        named[f"recall@{k}"] = metrics.recall(hits, k)
        named[f"ndcg@{k}"] = metrics.ndcg(hits, k)
        named[f"revenue-share@{k}"] = metrics.revenue_share(hits, k)
    return named


def compare(table: Table, ours: str, others: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """Take the paired differences between ``ours`` and other lists, in every scope; JSON for the manifest."""
    tested = ("mrr", *(f"{name}@{MAIN_PLACES}" for name in ("recall", "ndcg", "revenue-share")))
    keys = [
        (other, scope, metric)
        for other in others
        for name, scope in table
        if name == ours and (other, scope) in table
        for metric in tested
    ]
    pairs = [table[ours, scope][metric].minus(table[other, scope][metric]) for other, scope, metric in keys]
    return [
        {
            "lists": ours,
            "against": other,
            "scope": scope,
            "metric": metric,
            "difference": round(pair.value, 6),
            "interval": _rounded(bounds),
            "chance": round(float(chance), 6),
        }
        for (other, scope, metric), pair, bounds, chance in zip(
            keys, pairs, intervals(pairs, seed), chances(pairs, seed), strict=True
        )
    ]


def own_frequency(chunk: Chunk, size: int) -> NDArray[np.int64]:
    """List what each customer bought most often, of equal ones what was bought last; (n, size)."""
    purchases = chunk.interactions.purchases[chunk.cells].astype(np.float32)
    ages = chunk.interactions.ages[chunk.cells].astype(np.float32)
    bought = np.flatnonzero(purchases > 0)
    order = (purchases - ages / np.float32(10_000))[bought].astype(np.float32)
    chosen, owners, places = best_per_owner(chunk.owners[bought], order, size)
    lists = np.full((len(chunk), size), NOTHING, dtype=np.int64)
    lists[owners, places] = chunk.item_rows[bought[chosen]]
    return lists


def rows_of_table(table: Table, seed: int, varied: Mapping[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Write a table down as JSON, with intervals, and with what was ``varied`` beside what is over all."""
    every = [ratio for named in table.values() for ratio in named.values()]
    bounds = iter(intervals(every, seed))
    return [
        {
            "lists": name,
            "scope": scope,
            "customers": int((named["mrr"].wholes > 0).sum()),
            "values": {metric: round(ratio.value, 6) for metric, ratio in named.items()}
            | (varied.get(name, {}) if scope == ALL else {}),
            "intervals": {metric: _rounded(next(bounds)) for metric in named},
        }
        for (name, scope), named in table.items()
    ]


def _variety(rivals: Mapping[str, NDArray[np.int64]], chunk: Chunk, cutoff: Cutoff) -> Mapping[str, dict[str, float]]:
    interactions = chunk.interactions
    buyers = interactions.buyers()
    known_items = int((interactions.buyers(0) > 0).sum())
    bought = interactions.purchases[chunk.cells] > 0
    owners, item_rows = chunk.owners[bought], chunk.item_rows[bought]

    def of(lists: NDArray[np.int64]) -> dict[str, float]:
        first = lists[:, :MAIN_PLACES]
        return {
            "coverage": variety.coverage(first, known_items),
            "novelty": variety.novelty(first, buyers, interactions.customers),
            "personalization": variety.personalization(variety.exposure(first, len(buyers)), len(first)),
            "concentration": variety.concentration(first, len(buyers)),
            "popularity-lift": variety.popularity_lift(first, buyers, owners, item_rows),
            "diversity": variety.inner_diversity(first, cutoff.factors.items),
        }

    return {
        name: {f"{measured}@{MAIN_PLACES}": round(value, 6) for measured, value in of(lists).items()}
        for name, lists in rivals.items()
    }


def _source_shares(ranked: RankedLists, labels: Labels) -> dict[str, dict[str, float]]:
    """Tell, for each source, its share of the first places, and of what was bought from them."""
    codes = ranked.sources[:, :MAIN_PLACES] & ~np.uint8(BOUGHT_FLAG)
    is_hit = hits_of(ranked.item_rows[:, :MAIN_PLACES], labels).is_hit
    places, found = max(int((codes > 0).sum()), 1), max(int(is_hit.sum()), 1)
    return {
        source.name.lower(): {
            "listed": round(int((codes == source).sum()) / places, 6),
            "bought": round(int((is_hit & (codes == source)).sum()) / found, 6),
        }
        for source in Source
        if (codes == source).any()
    }


def _calibration(ranked: RankedLists, labels: Labels) -> dict[str, Any]:
    listed = ranked.item_rows != NOTHING
    return calibration(ranked.probabilities[listed], hits_of(ranked.item_rows, labels).is_hit[listed])


def _rounded(bounds: NDArray[np.float64]) -> list[float]:
    return [round(float(bound), 6) for bound in bounds]


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()
