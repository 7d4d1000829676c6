"""What sells now: the same for every customer."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.candidates import Source
from training.chunk import Chunk
from training.sources.source import Proposals


@dataclass(frozen=True, slots=True)
class Popular:
    """Proposes the items with the most buyers in the window before the cut, ``popularity`` (items,) float32."""

    popularity: NDArray[np.float32]
    width: int
    source: Source = Source.POPULAR
    _best: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        best = np.argsort(-self.popularity, kind="stable")[: self.width]
        object.__setattr__(self, "_best", best[self.popularity[best] > 0])

    def propose(self, chunk: Chunk) -> Proposals:
        """Propose what sold to anybody in the window."""
        proposals = Proposals.none_for(len(chunk), self.width)
        proposals.item_rows[:, : len(self._best)] = self._best
        proposals.scores[:, : len(self._best)] = self.popularity[self._best]
        return proposals
