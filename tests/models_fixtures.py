"""Small models made by hand, in which every score and every piece of evidence is known."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from models.candidates import BOUGHT_FLAG, CANDIDATE, NO_EVIDENCE, CandidateList, CandidateTable, Source
from models.item_model import EVERYONE, ItemModel
from models.manifest import Manifest
from models.outlook import OUTLOOK, OutlookArray, unpack_outlook
from models.registry import Registry
from models.vocabulary import Vocabulary

LAST_EVENT_TIME = datetime(2025, 6, 30, 12, tzinfo=UTC)
FIRST_EVENT_TIME = datetime(2025, 1, 1, tzinfo=UTC)

Candidate = tuple[int, float, int, int]


def item_id(row: int) -> str:
    return f"item-{row:03d}"


def candidate(
    row: int, score: float, source: Source = Source.COLLABORATIVE, evidence: int = NO_EVIDENCE, *, bought: bool = False
) -> Candidate:
    return (row, score, source | (BOUGHT_FLAG if bought else 0), evidence)


def candidate_list(candidates: Sequence[Candidate], evidence_rows: Sequence[int] = ()) -> CandidateList:
    return CandidateList(np.array(candidates, dtype=CANDIDATE), np.array(evidence_rows, dtype=np.uint32))


def item_model(
    count: int = 20,
    neighbors: Mapping[int, Sequence[tuple[int, float]]] | None = None,
    segments: Mapping[str, Sequence[Candidate]] | None = None,
) -> ItemModel:
    """Make a model of items 0 … count-1, the first the most popular; everyone's list holds them all in that order."""
    neighbors = neighbors or {}
    width = max((len(ties) for ties in neighbors.values()), default=1)
    rows = np.zeros((count, width), dtype=np.uint32)
    scores = np.zeros((count, width), dtype=np.float32)
    counts = np.zeros(count, dtype=np.uint16)
    for row, ties in neighbors.items():
        counts[row] = len(ties)
        for place, (neighbor, score) in enumerate(ties):
            rows[row, place], scores[row, place] = neighbor, score
    popularity = np.linspace(1.0, 0.05, count, dtype=np.float32)
    everyone = [candidate(row, float(popularity[row]), Source.POPULAR) for row in range(count)]
    lists = {EVERYONE: everyone, **(segments or {})}
    return ItemModel(
        vocabulary=Vocabulary([item_id(row) for row in range(count)]),
        popularity=popularity,
        neighbor_rows=rows,
        neighbor_scores=scores,
        neighbor_counts=counts,
        shared_lists={name: np.array(listed, dtype=CANDIDATE) for name, listed in lists.items()},
    )


def candidate_table(lists: Mapping[str, CandidateList]) -> CandidateTable:
    """Lay lists out as a table, customers sorted by id."""
    customer_ids = sorted(lists)
    width = max((len(lists[id_].candidates) for id_ in customer_ids), default=1)
    evidence_width = max((len(lists[id_].evidence_rows) for id_ in customer_ids), default=1)
    table = CandidateTable(
        customer_ids,
        np.zeros((len(lists), width), dtype=CANDIDATE),
        np.array([len(lists[id_].candidates) for id_ in customer_ids], dtype=np.uint16),
        np.zeros((len(lists), evidence_width), dtype=np.uint32),
        np.array([len(lists[id_].evidence_rows) for id_ in customer_ids], dtype=np.uint8),
    )
    for index, id_ in enumerate(customer_ids):
        table.candidates[index, : table.counts[index]] = lists[id_].candidates
        table.evidence_rows[index, : table.evidence_counts[index]] = lists[id_].evidence_rows
    return replace(table, outlooks=outlooks([lists[id_].outlook for id_ in customer_ids]))


def outlooks(packed: Sequence[int]) -> OutlookArray:
    """Lay packed outlooks out as training does."""
    found = [unpack_outlook(one) for one in packed]
    rows = [
        (0, 0, 0, 0.0, 0.0, 0.0) if one is None else tuple(getattr(one, name) for name in OUTLOOK.names or ())
        for one in found
    ]
    return np.array(rows, dtype=OUTLOOK)


def write_artifact(registry: Registry, model: ItemModel, lists: Mapping[str, CandidateList]) -> Manifest:
    """Write a model with its customers' lists to a registry; the same content gives the same version."""
    with registry.writer() as writer:
        writer.write_items(model)
        writer.write_factors(np.ones((len(model.vocabulary), 4), dtype=np.float32))
        writer.write_lists(candidate_table(lists))
        return writer.finish(
            first_event_time=FIRST_EVENT_TIME,
            last_event_time=LAST_EVENT_TIME,
            counts={"customers": len(lists), "items": len(model.vocabulary)},
            configuration={},
            metrics={},
        )
