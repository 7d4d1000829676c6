"""The training matrix at a moment: who did what to which item up to then, decayed, fetched piece by piece."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.progress import Progress
from training.config import TrainingConfiguration
from training.event_store import SECONDS_PER_DAY, Columns, EventStore

EVENTS_PER_PIECE = 400_000
_UNITS_PER_WEIGHT = 2**24
"""Weights are summed as integers of this fineness: sums of floats would depend on the order of DuckDB's threads."""

_SHORT_HALF_LIFE_DAYS = 21.0
_NEVER = 2**62
_CELLS_PER_BLOCK = 1_000_000


@dataclass(frozen=True, slots=True)
class Interactions:
    """Holds what is known at the second ``cut``, every array of the cells aligned with ``matrix.data``.

    ``matrix`` (customers, items) float32, row by row with ascending columns: the confidence of implicit ALS, below 0
    where the events speak against the item; ``confidence_scale`` leads back to the decayed weight. ``purchases`` uint8:
    target events, 255 meaning as many or more. ``ages`` float16: days since the last of them, or since the last event
    where there were none. ``recent`` float16: target events decayed with a half-life of three weeks. ``recent_buyers``
    and ``new_buyers`` (items,) float32: customers with a target event, and with their first one, in the popularity
    window before the cut; ``earlier_buyers`` those with one in the window before it.
    """

    cut: int
    matrix: csr_matrix
    confidence_scale: float
    purchases: NDArray[np.uint8]
    ages: NDArray[np.float16]
    recent: NDArray[np.float16]
    recent_buyers: NDArray[np.float32]
    new_buyers: NDArray[np.float32]
    earlier_buyers: NDArray[np.float32]

    def weights_at(self, cells: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give the decayed weights of some cells, below 0 where the events speak against the item."""
        confidence = self.matrix.data[cells]
        sizes = (np.abs(confidence) - np.float32(1)) / np.float32(self.confidence_scale)
        weights: NDArray[np.float32] = np.copysign(sizes, confidence)
        return weights

    def buyers(self, purchases: int = 1) -> NDArray[np.int64]:
        """Count, per item, the customers with at least so many target events, (items,); with 0 all interactions."""
        counts = np.zeros(self.items, dtype=np.int64)
        for start in range(0, self.matrix.nnz, _CELLS_PER_BLOCK):
            block = slice(start, start + _CELLS_PER_BLOCK)
            chosen = self.matrix.indices[block][self.purchases[block] >= purchases]
            counts += np.bincount(chosen, minlength=self.items)
        return counts

    @property
    def customers(self) -> int:
        """Count the customers, those without any interaction up to the cut included."""
        return int(self.matrix.shape[0])

    @property
    def items(self) -> int:
        """Count the items, those without any interaction up to the cut included."""
        return int(self.matrix.shape[1])


@dataclass(slots=True)
class _Cells:
    """Is where pieces are gathered. Room for every event is reserved; the system gives memory as it is written to."""

    columns: NDArray[np.int32]
    weights: NDArray[np.float32]
    purchases: NDArray[np.uint8]
    ages: NDArray[np.float16]
    recent: NDArray[np.float16]
    count: int = 0

    @classmethod
    def with_room_for(cls, count: int) -> "_Cells":
        return cls(
            np.empty(count, np.int32),
            np.empty(count, np.float32),
            np.empty(count, np.uint8),
            np.empty(count, np.float16),
            np.empty(count, np.float16),
        )

    def add(self, piece: Columns, order: NDArray[np.int64]) -> None:
        end = self.count + len(order)
        self.columns[self.count : end] = piece["item"][order]
        self.weights[self.count : end] = piece["weight"][order] / _UNITS_PER_WEIGHT
        self.purchases[self.count : end] = piece["purchases"][order]
        self.ages[self.count : end] = piece["age"][order] / SECONDS_PER_DAY
        self.recent[self.count : end] = piece["recent"][order] / _UNITS_PER_WEIGHT
        self.count = end


def load_interactions(
    store: EventStore,
    configuration: TrainingConfiguration,
    shape: tuple[int, int],
    cut: int,
    progress: Progress,
    events_per_piece: int = EVENTS_PER_PIECE,
) -> Interactions:
    """Aggregate the events before the second ``cut`` into a matrix of ``shape``, a range of customers at a time."""
    total = int(store.table("SELECT count(*) AS events FROM events WHERE seconds < ?", [cut])["events"][0])
    cells = _Cells.with_room_for(total)
    lengths = np.zeros(shape[0] + 1, dtype=np.int64)
    buyers = {name: np.zeros(shape[1], np.float32) for name in ("recent_buyers", "new_buyers")}
    window = configuration.popularity_days * SECONDS_PER_DAY
    query = _query(configuration)
    with progress.stage("load", shape[0]) as stage:
        for first, stop in _pieces(store, shape[0], events_per_piece):
            piece = store.table(query, [cut, first, stop])
            order = np.argsort(piece["customer"].astype(np.int64) * shape[1] + piece["item"])
            order = order[piece["weight"][order] != 0]
            cells.add(piece, order)
            lengths[1:] += np.bincount(piece["customer"][order], minlength=shape[0])
            for name, chosen in (
                ("recent_buyers", piece["target_age"] <= window),
                ("new_buyers", piece["first_age"] <= window),
            ):
                buyers[name] += np.bincount(piece["item"][chosen], minlength=shape[1])
            stage.advance(stop - first)
    buyers["earlier_buyers"] = _buyers_between(store, configuration, shape[1], cut - 2 * window, cut - window)
    store.rest()
    return _assemble(cells, lengths, shape, cut, configuration, buyers)


def _assemble(
    cells: _Cells,
    lengths: NDArray[np.int64],
    shape: tuple[int, int],
    cut: int,
    configuration: TrainingConfiguration,
    buyers: Mapping[str, NDArray[np.float32]],
) -> Interactions:
    count = cells.count
    confidence = cells.weights[:count]
    against = np.signbit(confidence)
    np.abs(confidence, out=confidence)
    confidence *= np.float32(configuration.factors.confidence_scale)
    confidence += np.float32(1)
    np.negative(confidence, out=confidence, where=against)
    row_starts = np.cumsum(lengths)
    narrow = np.int32 if count < 2**31 else np.int64
    matrix = csr_matrix((confidence, cells.columns[:count], row_starts.astype(narrow)), shape=shape, copy=False)
    matrix.has_sorted_indices = True
    return Interactions(
        cut,
        matrix,
        configuration.factors.confidence_scale,
        cells.purchases[:count],
        cells.ages[:count],
        cells.recent[:count],
        **buyers,
    )


def _pieces(store: EventStore, customers: int, events_per_piece: int) -> Iterator[tuple[int, int]]:
    """Cut the customers into ranges of about so many events."""
    counts = store.table("SELECT customer, count(*) AS events FROM events GROUP BY customer")
    per_customer = np.zeros(customers, dtype=np.int64)
    per_customer[counts["customer"]] = counts["events"]
    pieces = np.cumsum(per_customer) // events_per_piece
    starts = np.flatnonzero(np.diff(pieces, prepend=-1))
    yield from zip(starts.tolist(), [*starts[1:].tolist(), customers], strict=True)


def _buyers_between(
    store: EventStore, configuration: TrainingConfiguration, items: int, first: float, stop: float
) -> NDArray[np.float32]:
    """Count each item's customers with a target event between two seconds, (items,); the later one is not within."""
    target = list(configuration.event_weights()).index(configuration.target)
    counted = store.table(
        """SELECT item, count(DISTINCT customer) AS buyers FROM events
           WHERE type = ? AND seconds >= ? AND seconds < ? GROUP BY item""",
        [target, first, stop],
    )
    buyers = np.zeros(items, dtype=np.float32)
    buyers[counted["item"]] = counted["buyers"]
    return buyers


def _query(configuration: TrainingConfiguration) -> str:
    """Give the SQL with the parameters cut, first customer, customer to stop before."""
    weights = list(configuration.event_weights().items())
    short = _decay_per_second(_SHORT_HALF_LIFE_DAYS)
    target = [name for name, _ in weights].index(configuration.target)
    scales = " ".join(
        f"WHEN {code} THEN {settings.weight!r} * amount * exp(-age * {_decay_per_second(settings.half_life_days)!r})"
        for code, (_, settings) in enumerate(weights)
        if settings.weight
    )
    return f"""
        SELECT customer, item, CAST(sum(weight) AS BIGINT) AS weight,
               CAST(least(count(target_age), 255) AS UTINYINT) AS purchases,
               CAST(coalesce(min(target_age), min(age)) AS DOUBLE) AS age,
               coalesce(min(target_age), {_NEVER}) AS target_age,
               coalesce(max(target_age), {_NEVER}) AS first_age,
               CAST(coalesce(sum(recent), 0) AS BIGINT) AS recent
        FROM (SELECT customer, item, age, CASE WHEN type = {target} THEN age END AS target_age,
                     CAST(round({_UNITS_PER_WEIGHT} * CASE type {scales} END) AS BIGINT) AS weight,
                     CASE WHEN type = {target} THEN
                       CAST(round({_UNITS_PER_WEIGHT} * exp(-age * {short!r})) AS BIGINT)
                     END AS recent
              FROM (SELECT *, CAST(? AS BIGINT) - seconds AS age FROM events WHERE customer >= ? AND customer < ?)
              WHERE age > 0)
        GROUP BY customer, item"""


def _decay_per_second(half_life_days: float) -> float:
    return float(np.log(2) / (half_life_days * SECONDS_PER_DAY))
