"""How good lists are, against what was really bought afterwards. Every function is pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.sources.source import NOTHING


@dataclass(frozen=True, slots=True)
class Labels:
    """Holds what n customers bought in a label window: pairs sorted by owner and item, each once.

    ``owners`` (p,) 0 … n-1, ``item_rows`` (p,), ``values`` (p,) float64 in major units of money.
    """

    customers: int
    owners: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    values: NDArray[np.float64]

    def where(self, kept: NDArray[np.bool_]) -> "Labels":
        """Keep some of the pairs."""
        return Labels(self.customers, self.owners[kept], self.item_rows[kept], self.values[kept])

    def counts(self) -> NDArray[np.int64]:
        """Count the pairs of every customer, (n,)."""
        return np.bincount(self.owners, minlength=self.customers)

    def find(self, owners: NDArray[np.int64], item_rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the position of each pair, or NOTHING; both arrays may have any one shape."""
        if len(self.owners) == 0:
            return np.full(item_rows.shape, NOTHING, dtype=np.int64)
        known = (self.owners << 32) | self.item_rows
        wanted = (owners << 32) | item_rows
        position = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where((known[position] == wanted) & (item_rows != NOTHING), position, NOTHING)


@dataclass(frozen=True, slots=True)
class Hits:
    """Holds, for lists (n, k), which places hit: ``is_hit`` (n, k); ``values`` (n, k) what the hit was worth.

    ``relevant`` (n,) counts what could be hit, ``worth`` (n,) what all of it was worth.
    """

    is_hit: NDArray[np.bool_]
    values: NDArray[np.float64]
    relevant: NDArray[np.int64]
    worth: NDArray[np.float64]

    def only(self, customers: NDArray[np.bool_]) -> "Hits":
        """Leave the other customers nothing to find, so that all stay in their places."""
        kept = customers[:, np.newaxis]
        return Hits(
            self.is_hit & kept,
            np.where(kept, self.values, 0.0),
            np.where(customers, self.relevant, 0),
            np.where(customers, self.worth, 0.0),
        )


def hits_of(lists: NDArray[np.int64], labels: Labels) -> Hits:
    """Compare lists (n, k) of item rows, NOTHING after the last, with the labels."""
    owners = np.broadcast_to(np.arange(labels.customers)[:, np.newaxis], lists.shape)
    position = labels.find(owners, lists)
    is_hit = position != NOTHING
    worth = np.bincount(labels.owners, weights=labels.values, minlength=labels.customers)
    values = np.append(labels.values, 0.0)[position]
    return Hits(is_hit, np.where(is_hit, values, 0.0), labels.counts(), worth.astype(np.float64))


@dataclass(frozen=True, slots=True)
class Ratio:
    """Holds a measure customer by customer: it is the sum of ``parts`` (n,) over the sum of ``wholes`` (n,).

    For an average the wholes are 1, and both are 0 for a customer with nothing relevant. Kept apart like this, measures
    can be taken again of resampled customers.
    """

    parts: NDArray[np.float64]
    wholes: NDArray[np.float64]

    @property
    def value(self) -> float:
        """Give the measure over all customers, 0 when there is nothing to measure."""
        total = float(self.wholes.sum())
        return float(self.parts.sum()) / total if total > 0 else 0.0

    def minus(self, other: "Ratio") -> "Ratio":
        """Give the difference of two measures of the same customers against the same labels."""
        return Ratio(self.parts - other.parts, self.wholes)


def recall(hits: Hits, k: int) -> Ratio:
    """Average, over customers with something relevant, the part of it among the first k."""
    return _average(hits.is_hit[:, :k].sum(axis=1) / np.maximum(hits.relevant, 1), hits)


def ndcg(hits: Hits, k: int) -> Ratio:
    """Average the discounted gain, 1 / log2(1 + rank) per hit, over the best that k places allow (Järvelin 2002)."""
    discounts = 1 / np.log2(np.arange(k) + 2)
    found = hits.is_hit[:, :k]
    gain = found @ discounts[: found.shape[1]]
    best = np.cumsum(discounts)[np.clip(hits.relevant, 1, k) - 1]
    return _average(gain / best, hits)


def reciprocal_rank(hits: Hits) -> Ratio:
    """Average 1 / rank of the first hit of each list, 0 without one."""
    found = hits.is_hit
    first = np.argmax(found, axis=1) if found.size else np.zeros(len(found))
    return _average(np.where(found.any(axis=1), 1 / (first + 1), 0), hits)


def revenue_share(hits: Hits, k: int) -> Ratio:
    """Divide what the customers spent on items among the first k by all that they spent."""
    return Ratio(hits.values[:, :k].sum(axis=1), hits.worth)


def _average(values: NDArray[np.float64], hits: Hits) -> Ratio:
    some = (hits.relevant > 0).astype(np.float64)
    return Ratio(values * some, some)
