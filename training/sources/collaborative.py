"""Collaborative filtering: what customers with a like history want."""

from dataclasses import dataclass

import numpy as np

from models.candidates import Source
from training.als import Factors, best_items
from training.chunk import Chunk
from training.sources.source import Proposals


@dataclass(frozen=True, slots=True)
class Collaborative:
    """Proposes the items whose factors meet the customer's best. Nothing without a history."""

    factors: Factors
    width: int
    source: Source = Source.COLLABORATIVE

    def propose(self, chunk: Chunk) -> Proposals:
        """Propose by the inner product of the factors, which is near 1 for what is sure to be liked."""
        proposals = Proposals.none_for(len(chunk), self.width)
        known = np.unique(chunk.owners)
        if len(known):
            customers = self.factors.customers[chunk.customer_rows[known]]
            rows, scores = best_items(self.factors.items, customers, self.width)
            proposals.item_rows[known, : rows.shape[1]] = rows
            proposals.scores[known, : rows.shape[1]] = scores
        return proposals
