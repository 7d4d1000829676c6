"""The customer's own history: what was bought, or only looked at, before may be wanted again."""

from dataclasses import dataclass

import numpy as np

from models.candidates import VIEWED_FLAG, Source
from training.chunk import Chunk, best_per_owner
from training.sources.source import Proposals


@dataclass(frozen=True, slots=True)
class Rebuy:
    """Proposes the customer's items by decayed weight: frequency and recency in one number.

    What was only viewed is proposed as well, with the item itself as evidence.
    """

    width: int
    source: Source = Source.REBUY

    def propose(self, chunk: Chunk) -> Proposals:
        """Propose from the history; nothing that events speak against."""
        liked = np.flatnonzero(chunk.weights > 0)
        weights = chunk.weights[liked]
        chosen, owners, places = best_per_owner(chunk.owners[liked], weights, self.width)
        cells = chunk.cells[liked[chosen]]
        proposals = Proposals.none_for(len(chunk), self.width)
        rows = chunk.interactions.matrix.indices[cells]
        proposals.item_rows[owners, places] = rows
        proposals.scores[owners, places] = weights[chosen]
        viewed = chunk.interactions.purchases[cells] == 0
        proposals.evidence[owners[viewed], places[viewed]] = rows[viewed].astype(np.int64) | VIEWED_FLAG
        return proposals
