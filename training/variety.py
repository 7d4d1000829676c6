"""How varied lists are, whatever was bought afterwards. Every function is pure.

``lists`` are (n, k) item rows, NOTHING after the last; ``buyers`` (items,) counts the customers who bought each item.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.sources.source import NOTHING

PARTS = 10
"""Items are divided by popularity into so many parts of equal size."""


def exposure(lists: NDArray[np.int64], items: int) -> NDArray[np.int64]:
    """Count on how many lists each item stands, (items,)."""
    return np.bincount(lists[lists != NOTHING], minlength=items)


def coverage(lists: NDArray[np.int64], items: int) -> float:
    """Divide the distinct items on all lists by the items of the catalogue."""
    shown = np.unique(lists)
    return int((shown != NOTHING).sum()) / items if items else 0.0


def novelty(lists: NDArray[np.int64], buyers: NDArray[np.int64], customers: int) -> float:
    """Average -log2 of the share of customers who bought an item, over all places, in bits (Zhou 2010)."""
    shown = lists[lists != NOTHING]
    return _mean(-np.log2(np.maximum(buyers[shown], 1) / max(customers, 1)))


def personalization(exposed: NDArray[np.int64], customers: int) -> float:
    """Give the part of a list that differs, on average, from another customer's; 0 when all get the same.

    ``exposed`` (items,) counts on how many of the ``customers``' lists each item stands.
    """
    counts = exposed.astype(np.float64)
    places = float(counts.sum())
    if customers < 2 or places == 0:
        return 0.0
    return 1 - float((counts * (counts - 1)).sum()) / (customers - 1) / places


def concentration(lists: NDArray[np.int64], items: int) -> float:
    """Give the Gini coefficient of how often items are listed: 0 all alike, near 1 when a few take every place."""
    counts = np.sort(exposure(lists, items)).astype(np.float64)
    total = counts.sum()
    if total == 0:
        return 0.0
    return float(2 * np.arange(1, items + 1) @ counts / (items * total) - (items + 1) / items)


def popularity_lift(
    lists: NDArray[np.int64], buyers: NDArray[np.int64], owners: NDArray[np.int64], item_rows: NDArray[np.int64]
) -> float:
    """Compare the popularity of what is listed with that of what the customers themselves bought (Abdollahpouri 2019).

    ``owners`` and ``item_rows`` are the pairs of customer and item bought before. Each customer's means count alike;
    0 is no bias, 1 is twice as popular. Customers without a list or without purchases are left out.
    """
    listed = lists != NOTHING
    counts = np.bincount(owners, minlength=len(lists))
    own = np.bincount(owners, weights=buyers[item_rows], minlength=len(lists)) / np.maximum(counts, 1)
    shown = np.where(listed, buyers[lists], 0).sum(axis=1) / np.maximum(listed.sum(axis=1), 1)
    told = (counts > 0) & listed.any(axis=1)
    return float(shown[told].sum() / own[told].sum()) - 1 if told.any() else 0.0


def inner_diversity(lists: NDArray[np.int64], vectors: NDArray[np.float32]) -> float:
    """Average, over lists of two items or more, 1 - cosine of their pairs; ``vectors`` (items, f) (Ziegler 2005)."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.vstack([vectors / np.maximum(lengths, 1e-12), np.zeros((1, vectors.shape[1]), dtype=np.float32)])
    counts = (lists != NOTHING).sum(axis=1)
    several = counts >= 2
    if not several.any():
        return 0.0
    # The squared length of a sum of unit vectors is their number and twice the sum of the cosines of their pairs.
    sums = np.zeros((len(lists), vectors.shape[1]), dtype=np.float32)
    for place in range(lists.shape[1]):
        sums += units[lists[:, place]]
    squares = np.einsum("ij,ij->i", sums, sums)[several].astype(np.float64)
    own = (np.linalg.norm(units, axis=1) ** 2)[lists].sum(axis=1)[several]
    return _mean(1 - (squares - own) / (counts[several] * (counts[several] - 1)))


def by_popularity(
    lists: NDArray[np.int64], buyers: NDArray[np.int64], bought_rows: NDArray[np.int64], items: NDArray[np.int64]
) -> Sequence[dict[str, float]]:
    """Tell, for each tenth of the ``items``, the most popular first, how lists and later purchases spread over it.

    ``bought_rows`` are the items of the later purchases. Per part: its share of the places on lists, its share of the
    purchases, and the part of its items that stand on any list.
    """
    order = items[np.argsort(-buyers[items], kind="stable")]
    counts = exposure(lists, len(buyers))
    bought = np.bincount(bought_rows, minlength=len(buyers))
    places, purchases = max(int(counts.sum()), 1), max(len(bought_rows), 1)
    return [
        {
            "listed": round(float(counts[part].sum() / places), 6),
            "bought": round(float(bought[part].sum() / purchases), 6),
            "covered": round(float((counts[part] > 0).mean()) if len(part) else 0.0, 6),
        }
        for part in np.array_split(order, PARTS)
    ]


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
