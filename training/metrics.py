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

    def where(self, customers: NDArray[np.bool_]) -> "Hits":
        """Keep some of the customers."""
        return Hits(self.is_hit[customers], self.values[customers], self.relevant[customers], self.worth[customers])


def hits_of(lists: NDArray[np.int64], labels: Labels) -> Hits:
    """Compare lists (n, k) of item rows, NOTHING after the last, with the labels."""
    owners = np.broadcast_to(np.arange(labels.customers)[:, np.newaxis], lists.shape)
    position = labels.find(owners, lists)
    is_hit = position != NOTHING
    worth = np.bincount(labels.owners, weights=labels.values, minlength=labels.customers)
    values = np.append(labels.values, 0.0)[position]
    return Hits(is_hit, np.where(is_hit, values, 0.0), labels.counts(), worth.astype(np.float64))


def recall(hits: Hits, k: int) -> float:
    """Average, over customers with something relevant, the part of it among the first k."""
    some = hits.relevant > 0
    return _mean(hits.is_hit[some, :k].sum(axis=1) / hits.relevant[some])


def ndcg(hits: Hits, k: int) -> float:
    """Average the discounted gain, 1 / log2(1 + rank) per hit, over the best that k places allow (Järvelin 2002)."""
    some = hits.relevant > 0
    discounts = 1 / np.log2(np.arange(k) + 2)
    found = hits.is_hit[some, :k]
    gain = found @ discounts[: found.shape[1]]
    best = np.cumsum(discounts)[np.minimum(hits.relevant[some], k) - 1]
    return _mean(gain / best)


def reciprocal_rank(hits: Hits) -> float:
    """Average 1 / rank of the first hit of each list, 0 without one."""
    some = hits.relevant > 0
    found = hits.is_hit[some]
    first = np.argmax(found, axis=1) if found.size else np.zeros(len(found))
    return _mean(np.where(found.any(axis=1), 1 / (first + 1), 0))


def revenue_share(hits: Hits, k: int) -> float:
    """Divide what the customers spent on items among the first k by all that they spent."""
    total = float(hits.worth.sum())
    return float(hits.values[:, :k].sum()) / total if total > 0 else 0.0


def coverage(lists: NDArray[np.int64], k: int, items: int) -> float:
    """Divide the distinct items among the first k of all lists by the items of the catalogue."""
    shown = np.unique(lists[:, :k])
    return int((shown != NOTHING).sum()) / items if items else 0.0


def novelty(lists: NDArray[np.int64], k: int, buyers: NDArray[np.float32], customers: int) -> float:
    """Average -log2 of the share of customers who bought an item, over the first k places, in bits (Zhou 2010)."""
    shown = lists[:, :k]
    shown = shown[shown != NOTHING]
    return _mean(-np.log2(np.maximum(buyers[shown], 1) / max(customers, 1)))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
