"""The lists that a model stores, taken out of it for customers by their ids."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.candidates import NO_EVIDENCE, CandidateTable, Source
from models.item_model import EVERYONE
from training.backtests import rows_in
from training.ranking import RankedLists
from training.sources.source import NOTHING


def stored_lists(artifact: Artifact, customer_ids: Sequence[str], width: int) -> tuple[RankedLists, NDArray[np.bool_]]:
    """Give the first ``width`` candidates of these customers (n, width), and who of them has a list of their own (n,).

    Whoever has none is given everyone's. An id may stand twice. Reads all lists once, one file at a time.
    """
    lists = RankedLists.none_for(len(customer_ids), width)
    everyone = artifact.items().shared_lists[EVERYONE][:width]
    lists.item_rows[:, : len(everyone)] = everyone["row"]
    lists.probabilities[:, : len(everyone)] = everyone["score"]
    lists.sources[:, : len(everyone)] = Source.POPULAR
    known = np.zeros(len(customer_ids), dtype=bool)
    for table in artifact.lists():
        places = rows_in(customer_ids, table.customer_ids)
        found = np.flatnonzero(places != NOTHING)
        _copy(table, places[found], lists, found)
        known[found] = True
    return lists, known


def _copy(table: CandidateTable, chosen: NDArray[np.int64], lists: RankedLists, owners: NDArray[np.int64]) -> None:
    """Copy the chosen customers' lists to their owners' places."""
    width = min(lists.item_rows.shape[1], table.candidates.shape[1])
    candidates = table.candidates[chosen, :width]
    filled = np.arange(width) < table.counts[chosen, np.newaxis]
    lists.item_rows[owners] = NOTHING
    lists.item_rows[owners, :width] = np.where(filled, candidates["row"].astype(np.int64), NOTHING)
    lists.probabilities[owners, :width] = np.where(filled, candidates["score"].astype(np.float32), 0)
    lists.sources[owners, :width] = np.where(filled, candidates["source"], 0)
    named = filled & (candidates["evidence"] != NO_EVIDENCE)
    evidence = np.full(named.shape, NOTHING, dtype=np.int64)
    rows, places = np.nonzero(named)
    evidence[rows, places] = table.evidence_rows[chosen[rows], candidates["evidence"][rows, places]]
    lists.evidence[owners, :width] = evidence


def relisted(lists: RankedLists, item_ids: Sequence[str], to_ids: Sequence[str]) -> RankedLists:
    """Name the items of lists by their rows in another model; what it does not know goes, the rest moving up.

    The evidence is left as it was.
    """
    rows = np.append(rows_in(item_ids, to_ids), NOTHING)[lists.item_rows]
    order = np.argsort(rows == NOTHING, axis=1, kind="stable")
    return replace(
        lists,
        item_rows=np.take_along_axis(rows, order, axis=1),
        probabilities=np.take_along_axis(lists.probabilities, order, axis=1),
        sources=np.take_along_axis(lists.sources, order, axis=1),
    )
