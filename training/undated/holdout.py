"""What is kept aside to tune with: some cells of each customer, some customers, some items, all drawn with a seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.metrics import Hits, Labels, ndcg, recall
from training.sources.scorer import best_of
from training.sources.source import NOTHING

PLACES = 20
"""Of a list that is judged."""

_LABELS_PER_BLOCK = 256


def hold_out(matrix: csr_matrix, counts: NDArray[np.int64], seed: int) -> tuple[csr_matrix, csr_matrix]:
    """Draw so many cells of each customer, ``counts`` (customers,). Gives what stays and what was drawn."""
    drawn = random_places(matrix, seed) < np.repeat(counts, np.diff(matrix.indptr))
    return cells_where(matrix, ~drawn), cells_where(matrix, drawn)


def random_places(matrix: csr_matrix, seed: int) -> NDArray[np.int64]:
    """Shuffle each row: give every cell its 0-based place among those of its row."""
    lengths = np.diff(matrix.indptr)
    owners = np.repeat(np.arange(matrix.shape[0]), lengths)
    order = np.lexsort((np.random.default_rng(seed).random(matrix.nnz), owners))
    places = np.empty(matrix.nnz, dtype=np.int64)
    places[order] = np.arange(matrix.nnz) - np.repeat(matrix.indptr[:-1], lengths)
    return places


def cells_where(matrix: csr_matrix, kept: NDArray[np.bool_]) -> csr_matrix:
    """Keep some of the cells, ``kept`` aligned with ``matrix.data``."""
    starts = np.append(0, np.cumsum(kept))[matrix.indptr]
    return csr_matrix((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)


def labels_of(matrix: csr_matrix) -> Labels:
    """Take the cells of a matrix (n, items), columns ascending, as what its customers were to be proposed."""
    owners = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return Labels(matrix.shape[0], owners, matrix.indices.astype(np.int64), np.ones(matrix.nnz))


def unseen_lists(scores: NDArray[np.float32], seen: csr_matrix, count: int) -> NDArray[np.int64]:
    """List each row's best columns, (n, count), without cells of ``seen``; NOTHING after the last. Spoils scores."""
    owners = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
    scores[owners, seen.indices] = -np.inf
    rows, best = best_of(scores, count)
    return np.where(np.isfinite(best), rows, NOTHING)


@dataclass(frozen=True, slots=True)
class Trial:
    """Judges scores for some customers and items by what was held out of these customers' histories.

    ``known`` (customers, items) is what may be learned from. ``customer_rows`` (n,) and ``item_rows`` (p,) were drawn;
    ``seen`` (n, p) is what those customers have of those items, ``labels`` what was held out, with columns as items.
    """

    known: csr_matrix
    customer_rows: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    seen: csr_matrix
    labels: Labels

    @property
    def histories(self) -> csr_matrix:
        """Give the histories of the drawn customers, (n, items)."""
        return self.known[self.customer_rows]

    @property
    def targets(self) -> csr_matrix:
        """Give what is known of the drawn items, (customers, items): the only columns that need be learned."""
        drawn = np.zeros(self.known.shape[1], dtype=bool)
        drawn[self.item_rows] = True
        return cells_where(self.known, drawn[self.known.indices])

    def quality(self, scores: NDArray[np.float32]) -> float:
        """Add up recall and NDCG of the lists that scores (n, p) make."""
        labels, places = self.labels, self._places(scores)
        is_hit = np.zeros((labels.customers, PLACES), dtype=bool)
        listed = places < PLACES
        is_hit[labels.owners[listed], places[listed]] = True
        counts = labels.counts()
        hits = Hits(is_hit, is_hit.astype(np.float64), counts, counts.astype(np.float64))
        return recall(hits, PLACES).value + ndcg(hits, PLACES).value

    def _places(self, scores: NDArray[np.float32]) -> NDArray[np.int64]:
        """Give the place of each label among what its customer has not seen; of equal scores the first come first.

        Counting what stands before the few labels is many times cheaper than sorting everything.
        """
        open_scores = scores.copy()
        owners = np.repeat(np.arange(self.seen.shape[0]), np.diff(self.seen.indptr))
        open_scores[owners, self.seen.indices] = -np.inf
        places = np.empty(len(self.labels.owners), dtype=np.int64)
        columns = np.arange(scores.shape[1])
        for start in range(0, len(places), _LABELS_PER_BLOCK):
            block = slice(start, start + _LABELS_PER_BLOCK)
            rows, own = open_scores[self.labels.owners[block]], self.labels.item_rows[block, np.newaxis]
            value = np.take_along_axis(rows, own, axis=1)
            places[block] = np.sum((rows > value) | ((rows == value) & (columns < own)), axis=1)
        return places


def draw_trial(matrix: csr_matrix, share: float, customers: int, items: int, seed: int) -> Trial:
    """Hold a share of each history out, and draw customers and items, as many as that or all."""
    counts = np.floor(share * np.diff(matrix.indptr)).astype(np.int64)
    known, held = hold_out(matrix, counts, seed)
    randomness = np.random.default_rng(seed)
    item_rows = np.sort(randomness.permutation(matrix.shape[1])[:items])
    held = held[:, item_rows]
    customer_rows = np.sort(randomness.permutation(np.flatnonzero(np.diff(held.indptr) > 0))[:customers])
    held, seen = held[customer_rows], known[customer_rows][:, item_rows]
    held.sort_indices()
    return Trial(known, customer_rows, item_rows, seen, labels_of(held))
