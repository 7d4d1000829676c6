"""What the stored lists of a model are like, whoever looks at them: full, ordered, varied, like others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.artifact import Artifact
from models.candidates import CandidateTable
from training.backtests import rows_in
from training.sources.source import NOTHING
from training.variety import personalization

TOP = 20


@dataclass(frozen=True, slots=True)
class ListFacts:
    """Tells of all lists of a model.

    Shares of the customers whose list is ``full`` (fills a slate of TOP, or names the whole catalogue), is ``ordered``
    (scores never rise, no item twice) and ``tells`` its items apart by score; ``length``: candidates per customer;
    ``bytes``: per customer on disk; ``coverage``: part of the catalogue among the first TOP; ``personalization``: the
    part of the first TOP that differs from another customer's. ``tops`` (n, TOP): the first of chosen customers.
    """

    customers: int
    full: float
    ordered: float
    tells: float
    length: float
    bytes: float
    coverage: float
    personalization: float
    tops: NDArray[np.int64]


def list_facts(artifact: Artifact, chosen_ids: Sequence[str]) -> ListFacts:
    """Read all lists of a model once; ``tops`` are of the customers in ``chosen_ids``, NOTHING where there is none."""
    items = artifact.manifest.counts["items"]
    exposure = np.zeros(items, dtype=np.int64)
    tops = np.full((len(chosen_ids), TOP), NOTHING, dtype=np.int64)
    sums = np.zeros(5)
    for table in artifact.lists():
        first = _tops(table)
        exposure += np.bincount(first[first != NOTHING], minlength=items)
        ordered, tells = _order(table)
        full = table.counts >= min(TOP, items)
        sums += (len(table), full.sum(), ordered.sum(), tells.sum(), table.counts.sum())
        places = rows_in(chosen_ids, table.customer_ids)
        tops[places != NOTHING] = first[places[places != NOTHING]]
    customers = max(int(sums[0]), 1)
    sizes = sum(entry.size for name, entry in artifact.manifest.files.items() if name.startswith("lists-"))
    full_share, ordered_share, telling_share, length = (float(count) / customers for count in sums[1:])
    return ListFacts(
        customers=int(sums[0]),
        full=full_share,
        ordered=ordered_share,
        tells=telling_share,
        length=length,
        bytes=sizes / customers,
        coverage=float((exposure > 0).mean()) if items else 0.0,
        personalization=personalization(exposure, customers),
        tops=tops,
    )


def overlaps(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give, row by row, the items that two lists (n, k) share as a part of the shorter one, (n,)."""
    both = np.concatenate([first, np.where(second == NOTHING, NOTHING - 1, second)], axis=1)
    both.sort(axis=1)
    shared = ((both[:, 1:] == both[:, :-1]) & (both[:, 1:] >= 0)).sum(axis=1)
    shorter = np.minimum((first != NOTHING).sum(axis=1), (second != NOTHING).sum(axis=1))
    shares: NDArray[np.float64] = np.minimum(shared / np.maximum(shorter, 1), 1.0)
    return shares


def _tops(table: CandidateTable) -> NDArray[np.int64]:
    width = min(TOP, table.candidates.shape[1])
    tops = np.full((len(table), TOP), NOTHING, dtype=np.int64)
    filled = np.arange(width) < table.counts[:, np.newaxis]
    tops[:, :width] = np.where(filled, table.candidates["row"][:, :width].astype(np.int64), NOTHING)
    return tops


def _order(table: CandidateTable) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which lists are in order, and which give more than one score."""
    places = np.arange(table.candidates.shape[1])
    filled = places < table.counts[:, np.newaxis]
    scores = table.candidates["score"].astype(np.float32)
    falls = np.diff(scores, axis=1) <= 0
    # What lies beyond a list's end gets a number of its own below 0, so that only real items can stand twice.
    rows = np.sort(np.where(filled, table.candidates["row"].astype(np.int64), -1 - places), axis=1)
    ordered = (falls | ~filled[:, 1:]).all(axis=1) & (np.diff(rows, axis=1) != 0).all(axis=1)
    last = np.take_along_axis(scores, np.maximum(table.counts.astype(np.int64) - 1, 0)[:, np.newaxis], axis=1)[:, 0]
    return ordered, (table.counts < 2) | (scores[:, 0] != last)
