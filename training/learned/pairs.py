"""What is known, at a moment, of every customer and item that ever met."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.learned.log import EventLog

HALF_LIVES = (15.0, 45.0, 120.0, 365.0)
"""Days after which a target event counts half, in the four decayed counts of a pair."""

NEVER = np.float32(2_000.0)
"""Days that stand for an age where there is none."""

_SEASON = (320.0, 380.0)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Holds the p pairs with an event before a cut, by customer and item.

    ``starts`` (customers + 1,) says where each customer's pairs begin; ``item`` (p,) int64. Of target events:
    ``count``, ``decayed`` (p, len(HALF_LIVES)), ``last_age`` and ``first_age`` in days (NEVER without any), ``season``
    (those about a year ago), ``spend`` in major units of money. Of the others: ``attention`` (p,), decayed strengths
    of views, carts and the like, and ``attention_age``. ``liking`` (p,) adds everything up; below 0 the events speak
    against the item. All float32 but for rows.
    """

    starts: NDArray[np.int64]
    item: NDArray[np.int64]
    count: NDArray[np.float32]
    decayed: NDArray[np.float32]
    last_age: NDArray[np.float32]
    first_age: NDArray[np.float32]
    season: NDArray[np.float32]
    spend: NDArray[np.float32]
    attention: NDArray[np.float32]
    attention_age: NDArray[np.float32]
    liking: NDArray[np.float32]

    def of(self, customer_rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give owner (0 … n-1, ascending) and number of every pair of n customers."""
        lengths = np.diff(self.starts)[customer_rows]
        owners = np.repeat(np.arange(len(customer_rows)), lengths)
        before = np.cumsum(lengths) - lengths
        return owners, np.arange(len(owners)) + np.repeat(self.starts[customer_rows] - before, lengths)

    def find(self, customers: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the numbers of pairs that exist."""
        rows, where = np.unique(customers, return_inverse=True)
        owners, pairs = self.of(rows)
        position = np.searchsorted((owners << 32) | self.item[pairs], (where << 32) | items)
        found: NDArray[np.int64] = pairs[position]
        return found


def pairs_at(log: EventLog, cut: int, half_life_days: float) -> Pairs:
    """Add up what came before the second ``cut``; ``half_life_days`` is the target's, for attention and liking."""
    known = np.flatnonzero(log.second < cut)
    ages, pair = log.ages_at(cut)[known], log.pair[known]
    numbers, where = np.unique(pair, return_inverse=True)
    begins = known[np.searchsorted(pair, numbers)]
    target = log.is_target[known]
    fading = log.strength[known] * np.exp2(-ages * log.pace[known] / np.float32(half_life_days))
    size = len(numbers)

    def total(chosen: NDArray[np.bool_], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.bincount(where[chosen], weights=weights[chosen], minlength=size).astype(np.float32)

    return Pairs(
        starts=np.searchsorted(log.customer[begins], np.arange(log.customers + 1)).astype(np.int64),
        item=log.item[begins].astype(np.int64),
        count=total(target, np.ones_like(ages)),
        decayed=np.stack([total(target, np.exp2(-ages / np.float32(life))) for life in HALF_LIVES], axis=1),
        last_age=_youngest(where, ages, target, size),
        first_age=_oldest(where, ages, target, size),
        season=total(target & (ages > _SEASON[0]) & (ages <= _SEASON[1]), np.ones_like(ages)),
        spend=total(target, log.value[known]),
        attention=total(~target & (fading > 0), fading),
        attention_age=_youngest(where, ages, ~target & (fading > 0), size),
        liking=total(np.ones_like(target), fading),
    )


def matrix_at(
    log: EventLog, cut: int, half_life_days: float, columns: NDArray[np.int64], longest: int | None = None
) -> csr_matrix:
    """Give log(1 + decayed strengths) before a cut as (customers, columns) float32, no cell below 0.

    ``columns`` are ascending item rows. ``longest`` keeps a customer's largest cells only, where there are more.
    """
    place = np.full(log.items, -1, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    known = np.flatnonzero((log.second < cut) & (place[log.item] >= 0))
    ages = log.ages_at(cut)[known]
    fading = log.strength[known] * np.exp2(-ages * log.pace[known] / np.float32(half_life_days))
    numbers, begins, where = np.unique(log.pair[known], return_index=True, return_inverse=True)
    sums = np.bincount(where, weights=fading, minlength=len(numbers))
    kept = sums > 0
    rows, cells = log.customer[known[begins]][kept], place[log.item[known[begins]]][kept]
    data = np.log1p(sums[kept]).astype(np.float32)
    starts = np.searchsorted(rows, np.arange(log.customers + 1))
    matrix = csr_matrix((data, cells, starts), shape=(log.customers, len(columns)))
    return matrix if longest is None else largest_cells(matrix, longest)


def largest_cells(matrix: csr_matrix, longest: int) -> csr_matrix:
    """Keep the ``longest`` largest cells of each row; equal ones as they stand."""
    lengths = np.diff(matrix.indptr)
    if lengths.max(initial=0) <= longest:
        return matrix
    owners = np.repeat(np.arange(matrix.shape[0]), lengths)
    order = np.lexsort((-matrix.data, owners))
    kept = np.sort(order[np.arange(len(order)) - matrix.indptr[owners] < longest])
    starts = np.append(0, np.cumsum(np.minimum(lengths, longest)))
    return csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def _youngest(
    where: NDArray[np.int64], ages: NDArray[np.float32], chosen: NDArray[np.bool_], size: int
) -> NDArray[np.float32]:
    youngest = np.full(size, NEVER, dtype=np.float32)
    np.minimum.at(youngest, where[chosen], ages[chosen])
    return youngest


def _oldest(
    where: NDArray[np.int64], ages: NDArray[np.float32], chosen: NDArray[np.bool_], size: int
) -> NDArray[np.float32]:
    oldest = np.full(size, -1, dtype=np.float32)
    np.maximum.at(oldest, where[chosen], ages[chosen])
    return np.where(oldest < 0, NEVER, oldest)
