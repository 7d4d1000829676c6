"""Twenty and more ways to spoil a model, each as it happens: lists, factors, item model, data, recipe."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.candidates import CandidateTable
from models.item_model import EVERYONE, ItemModel
from models.registry import Registry
from tests.shop import Rows
from training.config import EventWeight, SourceSizes, TrainingConfiguration

RANDOMNESS = np.random.default_rng(7)


@dataclass(frozen=True)
class Parts:
    """Is an artifact taken apart."""

    items: ItemModel
    factors: NDArray[np.float32]
    table: CandidateTable
    metrics: dict[str, Any]


Spoil = Callable[[Parts], Parts]


def spoiled(registry: Registry, artifact: Artifact, spoil: Spoil) -> str:
    """Write the artifact again with something changed, its evaluation as good as it was, and give its version."""
    [table] = artifact.lists()
    manifest = artifact.manifest
    parts = spoil(Parts(artifact.items(), artifact.factors(), table, dict(manifest.metrics)))
    backtest = artifact.backtest()
    with registry.writer() as writer:
        writer.write_items(parts.items)
        writer.write_factors(parts.factors)
        writer.write_lists(parts.table)
        if backtest is not None and parts.metrics["evaluation"]:
            writer.write_backtest(backtest)
        return writer.finish(
            first_event_time=manifest.first_event_time,
            last_event_time=manifest.last_event_time,
            counts={**manifest.counts, "customers": len(parts.table)},
            configuration=manifest.configuration,
            metrics=parts.metrics,
        ).model_version


def _lists(change: Callable[[CandidateTable], CandidateTable]) -> Spoil:
    return lambda parts: replace(parts, table=change(parts.table))


def _rows(change: Callable[[NDArray[np.uint32], int], NDArray[Any]]) -> Spoil:
    """Change which items stand in the lists, the scores staying where they are."""

    def spoil(parts: Parts) -> Parts:
        candidates = parts.table.candidates.copy()
        candidates["row"] = change(candidates["row"], len(parts.items.vocabulary))
        return replace(parts, table=replace(parts.table, candidates=candidates))

    return spoil


def _noise(rows: NDArray[np.uint32], items: int) -> NDArray[Any]:
    return np.array([RANDOMNESS.permutation(items)[: rows.shape[1]] for _ in rows])


def _some_customers(table: CandidateTable, kept: NDArray[np.int64]) -> CandidateTable:
    return CandidateTable(
        [table.customer_ids[place] for place in kept],
        table.candidates[kept],
        table.counts[kept],
        table.evidence_rows[kept],
        table.evidence_counts[kept],
    )


def _scores(change: Callable[[NDArray[Any]], NDArray[Any]]) -> Spoil:
    def spoil(parts: Parts) -> Parts:
        candidates = parts.table.candidates.copy()
        candidates["score"] = change(candidates["score"])
        return replace(parts, table=replace(parts.table, candidates=candidates))

    return spoil


def _wider(table: CandidateTable) -> CandidateTable:
    padded = np.zeros((len(table), 3 * table.candidates.shape[1]), dtype=table.candidates.dtype)
    padded[:, : table.candidates.shape[1]] = table.candidates
    return replace(table, candidates=padded)


def _evaluated(change: Callable[[dict[str, Any]], None]) -> Spoil:
    def spoil(parts: Parts) -> Parts:
        evaluation = {**parts.metrics["evaluation"]}
        change(evaluation)
        return replace(parts, metrics={**parts.metrics, "evaluation": evaluation})

    return spoil


ARTIFACTS: dict[str, Spoil] = {
    "noise": _rows(_noise),
    "one item for everyone": lambda parts: _lists(lambda table: replace(table, counts=np.ones_like(table.counts)))(
        _rows(lambda rows, _: np.zeros_like(rows))(parts)
    ),
    "one list for everyone": _rows(lambda rows, _: np.repeat(rows[:1], len(rows), axis=0)),
    "lists of another customer": _rows(lambda rows, _: np.roll(rows, 1, axis=0)),
    "the worst first": _rows(lambda rows, _: rows[:, ::-1]),
    "places shuffled": _rows(lambda rows, _: RANDOMNESS.permuted(rows, axis=1)),
    "items numbered otherwise": _rows(lambda rows, items: (rows + 1) % items),
    "an item twice": _rows(lambda rows, _: np.concatenate([rows[:, :1], rows[:, :-1]], axis=1)),
    "scores shuffled": _scores(lambda scores: RANDOMNESS.permuted(scores, axis=1)),
    "one score for all": _scores(np.ones_like),
    "truncated lists": _lists(lambda table: replace(table, counts=np.minimum(table.counts, 5).astype(np.uint16))),
    "every second list empty": _lists(
        lambda table: replace(table, counts=np.where(np.arange(len(table)) % 2, table.counts, 0).astype(np.uint16))
    ),
    "half of the customers gone": _lists(lambda table: _some_customers(table, np.arange(0, len(table), 2))),
    "lists three times as large": _lists(_wider),
    "factors all zero": lambda parts: replace(parts, factors=np.zeros_like(parts.factors)),
    "nothing for the unknown": lambda parts: replace(
        parts, items=replace(parts.items, shared_lists={EVERYONE: parts.items.shared_lists[EVERYONE][:0]})
    ),
    "no neighbours": lambda parts: replace(
        parts, items=replace(parts.items, neighbor_counts=np.zeros_like(parts.items.neighbor_counts))
    ),
    "never judged": lambda parts: replace(parts, metrics={**parts.metrics, "evaluation": {}}),
    "not compared": _evaluated(lambda evaluation: evaluation.update(comparisons=[])),
}
"""Models spoiled after they were judged."""


def _shuffled(rows: Rows) -> Rows:
    customers = RANDOMNESS.permutation([row["customer_id"] for row in rows])
    return [{**row, "customer_id": str(customer)} for row, customer in zip(rows, customers, strict=True)]


def _without(first: str, stop: str) -> Callable[[Rows], Rows]:
    return lambda rows: [row for row in rows if not first <= row["event_time"] < stop]


DATA: dict[str, Callable[[Rows], Rows]] = {
    "yesterday missing": _without("2025-06-27", "2026"),
    "a week before missing": _without("2025-05-10", "2025-05-17"),
    "a day since missing": _without("2025-06-20", "2025-06-21"),
    "a tenth of the customers": lambda rows: [row for row in rows if row["customer_id"].endswith("7")],
    "customers mixed up": _shuffled,
    "one item for all purchases": lambda rows: [{**row, "item_id": "item-0001"} for row in rows],
    "no purchases": lambda rows: [{**row, "event_type": "view"} for row in rows],
}
"""Sources with something wrong with them."""

_SMALL = TrainingConfiguration.model_validate({"factors": {"factors": 16}})

RECIPES: dict[str, TrainingConfiguration] = {
    "yesterday's taste only": _SMALL.model_copy(
        update={"events": {"purchase": EventWeight(weight=1, half_life_days=0.01)}}
    ),
    "foresees views": _SMALL.model_copy(update={"target": "view"}),
    "names hardly anything": _SMALL.model_copy(
        update={"sources": SourceSizes(rebuy=1, collaborative=1, neighbors=1, popular=1)}
    ),
    "no room for what was bought": _SMALL.model_copy(update={"new_share": 1.0, "list_size": 20}),
}
"""Recipes that are worse than the one in service."""
