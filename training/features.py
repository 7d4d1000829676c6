"""What the blend looks at: the proposals of all sources united per customer, with one row of features each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.candidates import Source
from training.als import Factors
from training.chunk import LARGEST_CHUNK, Chunk
from training.interactions import Interactions
from training.sources.source import NOTHING, CandidateSource, Proposals

BOUGHT, VIEWED, NEW = 0, 1, 2
"""Groups of candidates, each with weights of its own: bought before, only looked at before, neither."""

FEATURES = (
    "constant",
    "weight",
    "weight-part",
    "purchases",
    "age",
    "recent",
    "collaborative",
    "collaborative-rank",
    "neighbors",
    "neighbors-rank",
    "recent-buyers",
    "new-buyers",
    "buyers",
    "repeat-rate",
    "history-length",
    "customer-age",
)
"""Names of the features, logarithms where they are sizes."""

_SLOT_BITS, _OWNER_SHIFT = np.uint64(12), np.uint64(44)
_SLOT_MASK, _ROW_MASK = np.uint64(2**12 - 1), np.uint64(2**32 - 1)
_SCORES_PER_BLOCK = 8_192


@dataclass(frozen=True, slots=True)
class ItemStatistics:
    """Holds one float32 per item: logarithms of the shares of buyers, and the log-odds of being bought again."""

    recent_buyers: NDArray[np.float32]
    new_buyers: NDArray[np.float32]
    buyers: NDArray[np.float32]
    repeat_rate: NDArray[np.float32]


def item_statistics(interactions: Interactions) -> ItemStatistics:
    """Count what the interactions say about items."""
    buyers = interactions.buyers()
    rate = (interactions.buyers(2) + 1) / (buyers + 10)
    return ItemStatistics(
        _log_share(interactions.recent_buyers),
        _log_share(interactions.new_buyers),
        _log_share(buyers),
        np.log(rate / (1 - rate)).astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class Candidates:
    """Holds the c candidates of a chunk, by customer and item row, each once.

    ``owners`` (c,), ``item_rows`` (c,), ``groups`` (c,) uint8, ``features`` (c, len(FEATURES)) float32;
    ``places`` (c, sources) int16: 0-based place in each source's proposals or NOTHING.
    """

    owners: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    groups: NDArray[np.uint8]
    features: NDArray[np.float32]
    places: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Joins everything fitted at one cut: interactions, item statistics, factors and the candidate sources."""

    interactions: Interactions
    statistics: ItemStatistics
    factors: Factors
    sources: Sequence[CandidateSource]

    def unite(self, chunk: Chunk) -> tuple[Candidates, Sequence[Proposals]]:
        """Unite what the sources propose, without what the customer's events speak against."""
        proposals = [source.propose(chunk) for source in self.sources]
        owners, rows, places = _unite(proposals)
        cells = find_cells(chunk, owners, rows)
        weights = np.where(cells == NOTHING, 0, self.interactions.weights_at(cells))
        kept = np.flatnonzero(weights >= 0)
        owners, rows, places, cells, weights = owners[kept], rows[kept], places[kept], cells[kept], weights[kept]
        purchases = np.where(cells == NOTHING, 0, self.interactions.purchases[cells])
        groups = np.where(cells == NOTHING, NEW, np.where(purchases > 0, BOUGHT, VIEWED)).astype(np.uint8)
        features = np.empty((len(owners), len(FEATURES)), dtype=np.float32)
        self._describe_history(features, chunk, owners, cells)
        self._describe_sources(features, chunk, owners, rows, places, proposals)
        self._describe_items(features, rows)
        return Candidates(owners, rows, groups, features, places), proposals

    def _describe_history(
        self, features: NDArray[np.float32], chunk: Chunk, owners: NDArray[np.int64], cells: NDArray[np.int64]
    ) -> None:
        interactions = self.interactions
        known = cells != NOTHING
        weights = np.where(known, interactions.weights_at(cells), 0)
        ages = interactions.ages[chunk.cells].astype(np.float32)
        total = chunk.sum_per_customer(np.maximum(chunk.weights, 0))
        length = np.bincount(chunk.owners, minlength=len(chunk))
        youngest = np.full(len(chunk), 1000, dtype=np.float32)
        np.minimum.at(youngest, chunk.owners, ages)
        features[:, 0] = 1
        features[:, 1] = np.where(known, np.log(np.maximum(weights, 1e-4)), 0)
        features[:, 2] = np.where(known, features[:, 1] - np.log(np.maximum(total, 1e-4))[owners], 0)
        features[:, 3] = np.where(known, np.log1p(interactions.purchases[cells], dtype=np.float32), 0)
        features[:, 4] = np.where(known, np.log1p(interactions.ages[cells], dtype=np.float32), 0)
        features[:, 5] = np.where(known, np.log(interactions.recent[cells].astype(np.float32) + np.float32(0.01)), 0)
        features[:, 14] = np.log1p(length).astype(np.float32)[owners]
        features[:, 15] = np.log1p(youngest)[owners]

    def _describe_sources(
        self,
        features: NDArray[np.float32],
        chunk: Chunk,
        owners: NDArray[np.int64],
        rows: NDArray[np.int64],
        places: NDArray[np.int16],
        proposals: Sequence[Proposals],
    ) -> None:
        for index, source in enumerate(self.sources):
            place = places[:, index].astype(np.int64)
            proposed = place != NOTHING
            score = proposals[index].scores[owners, place]
            log_place = np.log1p(np.where(proposed, place, source.width)).astype(np.float32)
            if source.source is Source.COLLABORATIVE:
                score[~proposed] = self._factor_scores(chunk, owners[~proposed], rows[~proposed])
                features[:, 6] = np.clip(score, -1, 2)
                features[:, 7] = log_place
            elif source.source is Source.NEIGHBORS:
                features[:, 8] = np.log(np.where(proposed, score, 0) + np.float32(1e-3))
                features[:, 9] = log_place

    def _factor_scores(self, chunk: Chunk, owners: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Multiply factors for single pairs, in blocks that stay in the processor's cache."""
        scores = np.empty(len(owners), dtype=np.float32)
        customers = self.factors.customers[chunk.customer_rows]
        for start in range(0, len(owners), _SCORES_PER_BLOCK):
            block = slice(start, start + _SCORES_PER_BLOCK)
            np.einsum("ij,ij->i", customers[owners[block]], self.factors.items[rows[block]], out=scores[block])
        return scores

    def _describe_items(self, features: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        features[:, 10] = self.statistics.recent_buyers[rows]
        features[:, 11] = self.statistics.new_buyers[rows]
        features[:, 12] = self.statistics.buyers[rows]
        features[:, 13] = self.statistics.repeat_rate[rows]


def _unite(proposals: Sequence[Proposals]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16]]:
    """Give owner, item row and the place in every source, sorted by owner and item row, each pair once."""
    rows = np.concatenate([proposal.item_rows for proposal in proposals], axis=1)
    count, width = rows.shape
    if count > LARGEST_CHUNK or width > _SLOT_MASK:
        raise ValueError(f"{count} customers with {width} proposals do not fit into the sort keys")
    keys = (rows.astype(np.uint64) & _ROW_MASK) << _SLOT_BITS
    keys |= np.arange(count, dtype=np.uint64)[:, np.newaxis] << _OWNER_SHIFT
    keys |= np.arange(width, dtype=np.uint64)
    keys.sort(axis=1)
    keys = keys[((keys >> _SLOT_BITS) & _ROW_MASK) != _ROW_MASK]
    pairs = keys >> _SLOT_BITS
    is_first = np.ones(len(pairs), dtype=bool)
    is_first[1:] = pairs[1:] != pairs[:-1]
    candidate = np.cumsum(is_first) - 1
    slots = (keys & _SLOT_MASK).astype(np.int64)
    widths = [proposal.item_rows.shape[1] for proposal in proposals]
    source_of_slot = np.repeat(np.arange(len(proposals)), widths)
    place_of_slot = np.concatenate([np.arange(width, dtype=np.int16) for width in widths])
    places = np.full((int(is_first.sum()), len(proposals)), NOTHING, dtype=np.int16)
    places[candidate, source_of_slot[slots]] = place_of_slot[slots]
    firsts = pairs[is_first]
    return (firsts >> np.uint64(32)).astype(np.int64), (firsts & _ROW_MASK).astype(np.int64), places


def find_cells(chunk: Chunk, owners: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find each pair among the chunk's cells, NOTHING where the customer never met the item."""
    if len(chunk.cells) == 0:
        return np.full(len(owners), NOTHING, dtype=np.int64)
    known = (chunk.owners << 32) | chunk.item_rows
    wanted = (owners << 32) | rows
    position = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[position] == wanted, chunk.cells[position], NOTHING)


def _log_share(counts: NDArray[np.float32] | NDArray[np.int64]) -> NDArray[np.float32]:
    """Take logarithms of counts relative to the largest, smoothed by half a count."""
    largest = max(float(counts.max(initial=0)), 1.0)
    shares: NDArray[np.float32] = np.log((counts + 0.5) / largest).astype(np.float32)
    return shares
