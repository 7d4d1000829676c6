"""Products of sparse matrices that end up dense: most of what it takes to score a catalogue with models of items."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

_COST_OF_MEETING = 24
"""What a cell of a row of ``left`` that meets a cell of ``right`` costs, in cells of a dense product (measured)."""


def product(left: csr_matrix, right: csr_matrix) -> NDArray[np.float32]:
    """Multiply (n, k), columns ascending in each row, with (k, m): dense (n, m) float32.

    Where the cells of ``left`` meet many of ``right``, it is quicker to take it as dense and to go through ``right``
    once for all rows together. Both ways add up in the same order, so that a row's bytes do not depend on the others.
    """
    meetings = int(np.diff(right.indptr)[left.indices].sum())
    if meetings * _COST_OF_MEETING < right.nnz * left.shape[0]:
        found: NDArray[np.float32] = (left @ right).toarray()
        return found
    return np.ascontiguousarray((right.T @ left.T.toarray()).T)
