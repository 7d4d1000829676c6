"""Lists against what came later, always beside the trivial lists that a model has to beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import metrics
from training.chunk import Chunk, best_per_owner, chunk_of
from training.features import find_cells
from training.interactions import Interactions
from training.metrics import Hits, Labels
from training.sources.popular import Popular
from training.sources.source import NOTHING

OURS, OWN_FREQUENCY, POPULAR_NOW = "dangol", "own-frequency", "popular-now"
ALL, NEW = "all", "new-to-customer"
PLACES = (10, 20, 50)
_ACTIVITY = ((0, 0, "bought-0"), (1, 9, "bought-1-9"), (10, 49, "bought-10-49"), (50, 2**31, "bought-50-or-more"))


@dataclass(frozen=True, slots=True)
class MetricRow:
    """Is one line of the table: how good one kind of list was for some customers."""

    lists: str
    scope: str
    customers: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class EvaluationSetting:
    """Says what is evaluated: the label window in UTC seconds, its customers and how many of them were drawn."""

    first_second: int
    stop_second: int
    customers_in_window: int
    customer_rows: NDArray[np.int64]
    labels: Labels


def evaluate(setting: EvaluationSetting, interactions: Interactions, lists: NDArray[np.int64]) -> dict[str, Any]:
    """Compare our lists (n, k) and the trivial ones with the labels; JSON for the manifest."""
    chunk = chunk_of(interactions, setting.customer_rows)
    competitors = {
        OURS: lists,
        OWN_FREQUENCY: own_frequency(chunk, lists.shape[1]),
        POPULAR_NOW: Popular(interactions.recent_buyers, lists.shape[1]).propose(chunk).item_rows,
    }
    rows = [row for name, rival in competitors.items() for row in _judge(name, rival, setting.labels, chunk)]
    return {
        "window": {"first_time": _iso(setting.first_second), "stop_time": _iso(setting.stop_second)},
        "customers_in_window": setting.customers_in_window,
        "customers_evaluated": len(setting.customer_rows),
        "rows": [
            {"lists": row.lists, "scope": row.scope, "customers": row.customers, "values": dict(row.values)}
            for row in rows
        ],
    }


def rows_of(evaluation: Mapping[str, Any]) -> Sequence[MetricRow]:
    """Read the table out of a manifest's ``metrics["evaluation"]``; empty when nothing was evaluated."""
    return [
        MetricRow(row["lists"], row["scope"], row["customers"], row["values"]) for row in evaluation.get("rows", ())
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


def without_bought(chunk: Chunk, lists: NDArray[np.int64]) -> NDArray[np.int64]:
    """Take out of lists (n, k) what the customers had bought before, the rest moving up."""
    owners = np.broadcast_to(np.arange(len(chunk))[:, np.newaxis], lists.shape)
    gone = was_bought(chunk, owners.ravel(), lists.ravel()).reshape(lists.shape) | (lists == NOTHING)
    order = np.argsort(gone, axis=1, kind="stable")
    return np.take_along_axis(np.where(gone, NOTHING, lists), order, axis=1)


def was_bought(chunk: Chunk, owners: NDArray[np.int64], item_rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell for pairs whether the customer had bought the item before the cut."""
    cells = find_cells(chunk, owners, item_rows)
    bought = np.append(chunk.interactions.purchases > 0, False)
    known: NDArray[np.bool_] = bought[cells] & (cells != NOTHING)
    return known


def _judge(name: str, lists: NDArray[np.int64], labels: Labels, chunk: Chunk) -> list[MetricRow]:
    hits = metrics.hits_of(lists, labels)
    new_labels = labels.where(~was_bought(chunk, labels.owners, labels.item_rows))
    new_lists = without_bought(chunk, lists)
    bought = np.bincount(chunk.owners[chunk.interactions.purchases[chunk.cells] > 0], minlength=len(chunk))
    rows = [
        MetricRow(name, ALL, len(chunk), _measure(hits) | _variety(lists, chunk.interactions)),
        MetricRow(name, NEW, int((new_labels.counts() > 0).sum()), _measure(metrics.hits_of(new_lists, new_labels))),
    ]
    for least, most, band in _ACTIVITY:
        members = (bought >= least) & (bought <= most)
        if members.any():
            rows.append(MetricRow(name, band, int(members.sum()), _measure(hits.where(members))))
    return rows


def _measure(hits: Hits) -> dict[str, float]:
    values = {"mrr": metrics.reciprocal_rank(hits)}
    for k in PLACES:
        values[f"recall@{k}"] = metrics.recall(hits, k)
        values[f"ndcg@{k}"] = metrics.ndcg(hits, k)
        values[f"revenue-share@{k}"] = metrics.revenue_share(hits, k)
    return {name: round(value, 6) for name, value in values.items()}


def _variety(lists: NDArray[np.int64], interactions: Interactions) -> dict[str, float]:
    buyers = interactions.buyers()
    known_items = int((interactions.buyers(0) > 0).sum())
    return {
        f"coverage@{PLACES[1]}": round(metrics.coverage(lists, PLACES[1], known_items), 6),
        f"novelty@{PLACES[1]}": round(
            metrics.novelty(lists, PLACES[1], buyers.astype(np.float32), interactions.customers), 6
        ),
    }


def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()
