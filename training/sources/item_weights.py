"""Item to item: how much each item of a history speaks for each item of the catalogue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.sources.products import product


@dataclass(frozen=True, slots=True)
class ItemWeights:
    """Scores with ``weights`` (items, items) float32, row: the item of the history, column: the item proposed."""

    weights: csr_matrix

    def score(self, customer_rows: NDArray[np.int64], histories: csr_matrix) -> NDArray[np.float32]:
        """Add up what each item of the history says, in proportion to its cell."""
        del customer_rows
        return product(histories, self.weights)


def keep_largest(weights: csr_matrix, count: int) -> csr_matrix:
    """Keep each column's ``count`` largest weights, of equal ones any but always the same; the diagonal goes."""
    columns = weights.tocsc()
    kept = np.zeros(columns.nnz, dtype=bool)
    owners = np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr))
    candidates = columns.data * (columns.indices != owners)
    for start, stop in zip(columns.indptr[:-1].tolist(), columns.indptr[1:].tolist(), strict=True):
        values = candidates[start:stop]
        if stop - start > count:
            kept[start + np.argpartition(values, len(values) - count)[-count:]] = True
        else:
            kept[start:stop] = True
    kept &= candidates > 0
    starts = np.append(0, np.cumsum(kept))[columns.indptr]
    shape = (columns.shape[1], columns.shape[0])
    return csr_matrix((columns.data[kept], columns.indices[kept], starts), shape=shape).T.tocsr()
