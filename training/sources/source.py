"""What every candidate source promises."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.candidates import Source
from training.chunk import Chunk

NOTHING = -1
"""Stands in ``item_rows`` and ``evidence`` where there is nothing."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """Holds what a source proposes to n customers, best first.

    ``item_rows`` (n, k) int64, NOTHING after a customer's last; ``scores`` (n, k) float32, finite, never rising along a
    row, 0 where there is nothing; ``evidence`` (n, k) int64: the history item that speaks most for it, with VIEWED_FLAG
    where it was not bought, or NOTHING.
    """

    item_rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    evidence: NDArray[np.int64]

    @classmethod
    def none_for(cls, customers: int, width: int) -> "Proposals":
        """Give room for proposals that holds none yet."""
        return cls(
            np.full((customers, width), NOTHING, dtype=np.int64),
            np.zeros((customers, width), dtype=np.float32),
            np.full((customers, width), NOTHING, dtype=np.int64),
        )


class CandidateSource(Protocol):
    """Proposes items to customers. Deterministic; no item twice to one customer; at most ``width`` to each."""

    @property
    def source(self) -> Source:
        """Name the source, as a candidate carries it."""

    @property
    def width(self) -> int:
        """Bound the proposals per customer."""

    def propose(self, chunk: Chunk) -> Proposals:
        """Propose to the customers of the chunk, (n, width) each."""
