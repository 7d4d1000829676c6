"""Candidates of customers whose events have no dates, and what is known of each pair, as rows of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.undated.behaviors import Behaviors
from training.undated.opinions import Opinion

UNSEEN_PER_OPINION = 40
"""Items without any behaviour of the customer that each model may name."""

_LARGEST_PART = 100.0
_DOUBT = 10.0
"""Pairs of an average item or customer that a ratio is mixed with."""


@dataclass(frozen=True, slots=True)
class PairFrame:
    """Holds the c candidates of n customers, by customer and item: ``owners`` (c,) 0 … n-1, ``item_rows`` (c,).

    ``features`` (c, f) float32, as :meth:`PairFrames.names` says.
    """

    customers: int
    owners: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Traits:
    """Describes rows of a kind, customers or items, by numbers (rows, f) float32 with a name each."""

    names: Sequence[str]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PairFrames:
    """Makes frames out of behaviours and of models learned from the same behaviours."""

    behaviors: Behaviors
    opinions: Sequence[Opinion]
    traits_of_items: Traits
    traits_of_customers: Traits

    @classmethod
    def over(cls, behaviors: Behaviors, opinions: Sequence[Opinion]) -> "PairFrames":
        """Count, once, what is known of items and of customers."""
        return cls(behaviors, opinions, traits_of(behaviors, 0), traits_of(behaviors, 1))

    @property
    def names(self) -> list[str]:
        """Name the features in their order."""
        opinions = [
            f"{opinion.name}-{what}" for opinion in self.opinions for what in ("score", "part", "rank", "place")
        ]
        items, customers = ([f"{kind}-{name}" for name in self.traits_of_items.names] for kind in ("item", "customer"))
        places = [f"{name}-place" for name in items]
        return [*opinions, *self.behaviors.others, *items, *places, *customers]

    def frame(self, customer_rows: NDArray[np.int64]) -> PairFrame:
        """Name candidates and describe them: all items of other behaviours, and each model's best unseen ones."""
        seen = {name: matrix[customer_rows].toarray() > 0 for name, matrix in self.behaviors.matrices.items()}
        scores = [opinion.of(customer_rows) for opinion in self.opinions]
        is_met = np.any([seen[name] for name in self.behaviors.others], axis=0)
        is_unseen = ~(is_met | seen[self.behaviors.target])
        ascending = [np.sort(np.where(is_unseen, values, 0), axis=1) for values in scores]
        is_candidate = is_met & ~seen[self.behaviors.target]
        for values, ordered in zip(scores, ascending, strict=True):
            least = ordered[:, -min(UNSEEN_PER_OPINION, ordered.shape[1]), np.newaxis]
            is_candidate |= is_unseen & (values >= np.maximum(least, np.finfo(np.float32).tiny))
        owners, rows = np.nonzero(is_candidate)
        rivals = owners * 2 + is_met[owners, rows]
        columns = []
        for values, ordered in zip(scores, ascending, strict=True):
            columns += _describe_scores(values, ordered, owners, rows, rivals)
        columns += [seen[name][owners, rows].astype(np.float32) for name in self.behaviors.others]
        traits = self.traits_of_items.values[rows]
        columns += [*traits.T, *(_places(rivals, trait) for trait in traits.T)]
        columns += [*self.traits_of_customers.values[customer_rows[owners]].T]
        return PairFrame(len(customer_rows), owners, rows, np.column_stack(columns))


def traits_of(behaviors: Behaviors, axis: int) -> Traits:
    """Count the pairs of each behaviour along an axis (0: of items, 1: of customers), and how often two go together."""
    matrices = behaviors.matrices
    counts = {name: _counts(matrix, axis) for name, matrix in matrices.items()}
    names, columns = list(matrices), [np.log1p(count) for count in counts.values()]
    for first in matrices:
        for second in matrices:
            if first != second:
                both = _counts(matrices[first].multiply(matrices[second]).tocsr(), axis)
                usual = both.sum() / max(float(counts[first].sum()), 1)
                names.append(f"{second}-of-{first}")
                columns.append((both + _DOUBT * usual) / (counts[first] + _DOUBT))
    return Traits(names, np.column_stack(columns).astype(np.float32))


def _counts(matrix: csr_matrix, axis: int) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=axis), dtype=np.float64).ravel()


def _describe_scores(
    scores: NDArray[np.float32],
    ascending: NDArray[np.float32],
    owners: NDArray[np.int64],
    rows: NDArray[np.int64],
    rivals: NDArray[np.int64],
) -> list[NDArray[np.float32]]:
    """Give each candidate's score, its part of the highest unseen one's, its rank among the unseen and its place.

    ``ascending`` (n, items) holds the scores of what is unseen, sorted.
    """
    values = scores[owners, rows]
    highest = np.maximum(ascending[:, -1], np.finfo(np.float32).tiny)
    starts = np.searchsorted(owners, np.arange(len(scores) + 1))
    higher = np.empty(len(values), dtype=np.int64)
    for owner, (start, stop) in enumerate(pairwise(starts.tolist())):
        higher[start:stop] = scores.shape[1] - np.searchsorted(ascending[owner], values[start:stop], side="right")
    parts = np.clip(values / highest[owners], -_LARGEST_PART, _LARGEST_PART)
    return [values, parts.astype(np.float32), np.log1p(higher).astype(np.float32), _places(rivals, values)]


def _places(rivals: NDArray[np.int64], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give log(1 + place) of each value among those of the same rivals, the highest first."""
    order = np.lexsort((-values, rivals))
    counts = np.bincount(rivals)
    places = np.empty(len(values), dtype=np.float32)
    places[order] = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.log1p(places)
