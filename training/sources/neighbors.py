"""Item to item: what is bought by those who bought the items of the customer's history."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.candidates import VIEWED_FLAG, Source
from training.als import nearest_items
from training.chunk import Chunk, best_per_owner
from training.interactions import Interactions
from training.sources.source import Proposals

HISTORY = 32
"""How many items of a history speak: the heaviest ones."""

SPEAKING_NEIGHBORS = 20
"""How many neighbours of each are proposed."""

MAXIMAL_CELLS = 4_000_000
"""Cells that neighbours are learned from; beyond, a seeded sample of the customers, so that memory stays bounded."""

_CUSTOMER_EXPONENT = 0.4
MAXIMAL_HISTORY = 250
"""Items of one customer that neighbours are learned from, more or less: the work grows with the square."""

_SCORE_SHIFT, _SCORE_MASK = np.uint64(6), np.uint64(2**31 - 1)
_ITEM_SHIFT = np.uint64(37)
_PLACE_MASK = np.uint64(63)
_NO_KEY = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class ItemNeighbors:
    """Holds each item's neighbours, best first, as ItemModel does: cosine in 0 … 1 over customers' histories."""

    rows: NDArray[np.uint32]
    scores: NDArray[np.float32]
    counts: NDArray[np.uint16]


def learn_neighbors(interactions: Interactions, count: int, seed: int, threads: int) -> ItemNeighbors:
    """Find each item's nearest neighbours by cosine, a customer with a long history weighing less."""
    matrix = _weighted(_sampled(interactions, seed))
    rows, scores, counts = nearest_items(matrix, count, threads)
    np.clip(scores, 0, 1, out=scores)
    return ItemNeighbors(rows, scores, counts)


@dataclass(frozen=True, slots=True)
class Neighbors:
    """Proposes the neighbours of the customer's items, each neighbour's similarity weighted with the item's weight."""

    neighbors: ItemNeighbors
    width: int
    source: Source = Source.NEIGHBORS

    def propose(self, chunk: Chunk) -> Proposals:
        """Propose by the sum of contributions; evidence is the history item that contributed most."""
        proposals = Proposals.none_for(len(chunk), self.width)
        history, weights = _heaviest(chunk)
        keys = self._contributions(history & ~VIEWED_FLAG, weights)
        last, sums = _groups(keys)
        if len(last) == 0:
            return proposals
        chosen, owners, places = best_per_owner(last // keys.shape[1], sums, self.width)
        winners = keys.ravel()[last[chosen]]
        proposals.item_rows[owners, places] = winners >> _ITEM_SHIFT
        proposals.scores[owners, places] = sums[chosen]
        proposals.evidence[owners, places] = history[owners, (winners & _PLACE_MASK).astype(np.int64)]
        return proposals

    def _contributions(self, history: NDArray[np.int64], weights: NDArray[np.float32]) -> NDArray[np.uint64]:
        """Give (n, H * K) sorted keys of item, contribution and place in the history; _NO_KEY where there is none.

        The three fit into 64 bits, 27 + 31 + 6, so that one fast sort of integers groups the items and puts the largest
        contribution last in each group.
        """
        speaking = min(SPEAKING_NEIGHBORS, self.neighbors.rows.shape[1])
        scores = self.neighbors.scores[history, :speaking] * weights[:, :, np.newaxis]
        keys = self.neighbors.rows[history, :speaking].astype(np.uint64) << _ITEM_SHIFT
        keys |= scores.view(np.uint32).astype(np.uint64) << _SCORE_SHIFT
        keys |= np.arange(history.shape[1], dtype=np.uint64)[np.newaxis, :, np.newaxis]
        keys[scores <= 0] = _NO_KEY
        keys = keys.reshape(len(history), -1)
        keys.sort(axis=1)
        return keys


def _heaviest(chunk: Chunk) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give the heaviest items of each history, with VIEWED_FLAG, and their part of the customer's whole; (n, H) each.

    Where a history is shorter, weight 0 stands. Square roots keep one often-bought item from drowning the rest.
    """
    liked = np.flatnonzero(chunk.weights > 0)
    weights = np.sqrt(chunk.weights[liked])
    owners = chunk.owners[liked]
    totals = np.bincount(owners, weights=weights, minlength=len(chunk))
    chosen, chosen_owners, places = best_per_owner(owners, weights, HISTORY)
    cells = chunk.cells[liked[chosen]]
    viewed = np.where(chunk.interactions.purchases[cells] == 0, VIEWED_FLAG, 0)
    history = np.zeros((len(chunk), HISTORY), dtype=np.int64)
    parts = np.zeros((len(chunk), HISTORY), dtype=np.float32)
    history[chosen_owners, places] = chunk.interactions.matrix.indices[cells] | viewed
    parts[chosen_owners, places] = weights[chosen] / totals[chosen_owners]
    return history, parts


def _groups(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find where each row's groups of one item end, as flat positions, and what their contributions add up to."""
    items = keys >> _ITEM_SHIFT
    is_last = keys != _NO_KEY
    contributions = np.where(is_last, ((keys >> _SCORE_SHIFT) & _SCORE_MASK).astype(np.uint32).view(np.float32), 0)
    is_last[:, :-1] &= items[:, :-1] != items[:, 1:]
    last = np.flatnonzero(is_last)
    sums = np.cumsum(contributions, dtype=np.float64)[last]
    return last, np.diff(sums, prepend=0).astype(np.float32)


def _sampled(interactions: Interactions, seed: int) -> csr_matrix:
    """Draw customers when there are too many cells, and cells of those whose history is too long."""
    matrix, randomness = interactions.matrix, np.random.default_rng(seed)
    if matrix.nnz > MAXIMAL_CELLS:
        share = MAXIMAL_CELLS / matrix.nnz
        matrix = matrix[np.flatnonzero(randomness.random(matrix.shape[0]) < share)]
    lengths = np.diff(matrix.indptr)
    if lengths.max(initial=0) <= MAXIMAL_HISTORY:
        return matrix
    shares = np.minimum(1, MAXIMAL_HISTORY / np.maximum(lengths, 1)).astype(np.float32)
    kept = randomness.random(matrix.nnz, dtype=np.float32) < np.repeat(shares, lengths)
    starts = np.append(0, np.cumsum(kept))[matrix.indptr]
    return csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def _weighted(matrix: csr_matrix) -> csr_matrix:
    """Normalise for the cosine: liked cells count n_customer^-.4, columns get length 1."""
    liked = np.signbit(matrix.data) ^ True
    lengths = np.add.reduceat(np.append(liked, False), matrix.indptr[:-1], dtype=np.int64)
    lengths[np.diff(matrix.indptr) == 0] = 0
    per_customer = np.power(np.maximum(lengths, 1), -_CUSTOMER_EXPONENT)
    data = np.repeat(per_customer, np.diff(matrix.indptr))
    data *= liked
    norms = np.bincount(matrix.indices, weights=data * data, minlength=matrix.shape[1])
    data *= (1 / np.sqrt(np.maximum(norms, 1e-12)))[matrix.indices]
    return csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape, copy=False)
