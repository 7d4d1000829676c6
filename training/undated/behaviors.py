"""What customers did, behaviour by behaviour, when nobody knows in which order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from training.undated.holdout import cells_where, random_places

_SMALLEST_HISTORY = 3
"""Target cells that a customer needs for one of them to be held out: what stays must still say something."""

_PARTS = 4
"""A fold holds one of so many parts of longer histories out."""


@dataclass(frozen=True, slots=True)
class Behaviors:
    """Holds a matrix (customers, items) float32 of ones per behaviour, columns ascending.

    ``target`` names the behaviour that lists shall foresee.
    """

    target: str
    matrices: Mapping[str, csr_matrix]

    @property
    def targets(self) -> csr_matrix:
        """Give the matrix of the target."""
        return self.matrices[self.target]

    @property
    def others(self) -> Mapping[str, csr_matrix]:
        """Give the matrices of the other behaviours."""
        return {name: matrix for name, matrix in self.matrices.items() if name != self.target}

    def united(self) -> csr_matrix:
        """Join all behaviours: log(1 + strengths), where 1, 2, 3 … goes by how often a behaviour meets the target."""
        ordered = sorted(self.matrices, key=self._conversion)
        united = self.matrices[ordered[0]]
        for strength, name in enumerate(ordered[1:], 2):
            united = (united + self.matrices[name] * np.float32(strength)).tocsr()
        united = united.copy()
        united.data = np.log1p(united.data)
        united.sort_indices()
        return united

    def folds(self, count: int, seed: int) -> Iterator[tuple["Behaviors", csr_matrix]]:
        """Hold a part of each customer's target cells out, others in each fold; gives what is left and what is held."""
        lengths = np.diff(self.targets.indptr)
        places = random_places(self.targets, seed)
        held_counts = np.repeat(np.where(lengths >= _SMALLEST_HISTORY, np.maximum(lengths // _PARTS, 1), 0), lengths)
        for fold in range(count):
            held = (places >= fold * held_counts) & (places < (fold + 1) * held_counts)
            left = cells_where(self.targets, ~held)
            yield replace(self, matrices={**self.matrices, self.target: left}), cells_where(self.targets, held)

    def _conversion(self, name: str) -> float:
        """Give the part of a behaviour's pairs that are the target's as well: 1 for the target itself."""
        matrix = self.matrices[name]
        return int(matrix.multiply(self.targets).nnz) / max(matrix.nnz, 1)
