"""What every model that scores the whole catalogue promises, and how it becomes a candidate source."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.candidates import Source
from training.chunk import Chunk, best_per_owner
from training.sources.source import NOTHING, Proposals

_COLUMNS_PER_GROUP = 16
_CROWD = 8
"""Candidates per place beyond which a row has so many equal values that it is sorted."""


class Scorer(Protocol):
    """Scores every item for customers. Deterministic: the same fit gives the same bytes."""

    def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
        """Score all items, (n, items) float32, finite, comparable within one row; 0 all along for an empty history.

        ``histories`` (n, items) float32 holds what the customers of these rows are known for, no cell below 0. Models
        of items read it alone; models of customers know the rows from their fit and look only where it is empty.
        """


@dataclass(frozen=True, slots=True)
class Scored:
    """Proposes the items that a model scores above 0, best first."""

    scorer: Scorer
    width: int
    source: Source = Source.COLLABORATIVE

    def propose(self, chunk: Chunk) -> Proposals:
        """Propose by score. It rests on the history as a whole: there is no evidence."""
        proposals = Proposals.none_for(len(chunk), self.width)
        scores = self.scorer.score(chunk.customer_rows, histories_of(chunk))
        rows, best = best_of(scores, self.width)
        proposals.item_rows[:, : rows.shape[1]] = np.where(best > 0, rows, NOTHING)
        proposals.scores[:, : rows.shape[1]] = np.maximum(best, 0)
        return proposals


def histories_of(chunk: Chunk) -> csr_matrix:
    """Lay the histories out as a matrix (n, items): log(1 + decayed weight), without what events speak against."""
    weights = chunk.weights
    liked = np.flatnonzero(weights > 0)
    starts = np.searchsorted(chunk.owners[liked], np.arange(len(chunk) + 1))
    shape = (len(chunk), chunk.interactions.items)
    return csr_matrix((np.log1p(weights[liked]), chunk.item_rows[liked], starts), shape=shape)


def best_of(scores: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give columns and values of each row's highest, best first, equal ones as they stand: (n, min(count, items))."""
    count = min(count, scores.shape[1])
    is_candidate = scores >= _bound_of_best(scores, count)
    crowded = np.flatnonzero(is_candidate.sum(axis=1, dtype=np.int32) > _CROWD * count)
    if len(crowded):
        is_candidate[crowded] = _are_best(scores[crowded], count)
    owners, columns = np.nonzero(is_candidate)
    chosen, _, _ = best_per_owner(owners, scores[owners, columns], count)
    rows = columns[chosen].reshape(len(scores), count)
    return rows, np.take_along_axis(scores, rows, axis=1)


def _bound_of_best(scores: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Give a value (n, 1) that at least ``count`` of each row reach, and mostly few more: no row need be sorted.

    It is the ``count``-th highest of the maxima of groups of columns; where there are fewer groups, everything counts.
    """
    groups = scores.shape[1] // _COLUMNS_PER_GROUP
    if groups < count:
        return np.full((len(scores), 1), -np.inf, dtype=np.float32)
    grouped = scores[:, : groups * _COLUMNS_PER_GROUP].reshape(len(scores), _COLUMNS_PER_GROUP, groups)
    return np.sort(grouped.max(axis=1), axis=1)[:, groups - count, np.newaxis]


def _are_best(scores: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Mark exactly ``count`` of the highest in each row, of equal ones the first."""
    # Sorting values is vectorised; partitions are not cheaper, and crawl where most values are equal, as zeros are.
    least = np.sort(scores, axis=1)[:, scores.shape[1] - count, np.newaxis]
    marked = scores > least
    missing = count - marked.sum(axis=1, dtype=np.int32)
    equal = scores == least
    marked |= equal & (np.cumsum(equal, axis=1, dtype=np.int32) <= missing[:, np.newaxis])
    return marked
