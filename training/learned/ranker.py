"""From frames to lists: a first look that leaves out the hopeless, the trees' score for the rest, and true reasons."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from models.candidates import BOUGHT_FLAG, VIEWED_FLAG, Source
from training.config import TrainingConfiguration
from training.learned.frames import Frame, FrameSizes, features_of, frame_of, part_of
from training.learned.moment import Moment
from training.learned.trees import Trees
from training.ranking import RankedLists, choose
from training.sources.source import NOTHING

_SPARE = 1.2
_SPARE_NEW = 0.1
"""What a first look keeps, in lengths of the list: so much in all, and of what is new so much beyond its room."""


@dataclass(frozen=True, slots=True)
class LearnedRanker:
    """Ranks the candidates of one moment with trees that were grown on earlier ones."""

    moment: Moment
    trees: Trees
    configuration: TrainingConfiguration

    def rank_chunk(self, customer_rows: NDArray[np.int64]) -> RankedLists:
        """Make the lists of a few customers; the score is the odds that the trees give, as a probability."""
        size, room = self.configuration.list_size, self.configuration.room_for_new()
        settings = self.configuration.learned
        frame = frame_of(self.moment, customer_rows, FrameSizes(settings.own, settings.found))
        look = self.trees.first_look(frame.features)
        spare = int(_SPARE_NEW * size)
        hopeful, _, _ = choose(frame.owners, frame.is_found(), look, int(_SPARE * size), room + spare)
        frame = frame.where(np.sort(hopeful))
        odds = self.trees.scores(frame.features)
        chances = (1 / (1 + np.exp(-np.clip(odds, -30, 30)))).astype(np.float32)
        kept, owners, places = choose(frame.owners, frame.is_found(), chances, size, room)
        lists = RankedLists.none_for(len(customer_rows), size)
        lists.item_rows[owners, places] = frame.item_rows[kept]
        lists.probabilities[owners, places] = chances[kept]
        sources, evidence = self._reasons(customer_rows, frame.where(kept))
        lists.sources[owners, places] = sources
        lists.evidence[owners, places] = evidence
        return lists

    def _reasons(self, customer_rows: NDArray[np.int64], frame: Frame) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Name what speaks for a candidate: its own history, or the source whose best score it comes nearest to."""
        known = self.moment.pairs
        bought = (frame.pairs >= 0) & (known.count[frame.pairs] > 0)
        viewed = (frame.pairs >= 0) & ~bought
        models = self.moment.sources.models
        names = features_of(self.configuration.learned.sources)
        parts = [names.index(part_of(name)) for name in (*(model.name for model in models), "trend")]
        speaker = frame.features[:, parts].argmax(axis=1)
        sources = np.array([*(model.source for model in models), Source.POPULAR], dtype=np.uint8)[speaker]
        evidence = np.full(len(frame.owners), NOTHING, dtype=np.int64)
        for index, model in enumerate(models):
            if model.speakers is not None:
                spoken = np.flatnonzero((frame.pairs < 0) & (speaker == index))
                owners, items = frame.owners[spoken], frame.item_rows[spoken]
                histories = model.histories[customer_rows].toarray()
                told = self._largest_contribution(histories, owners, items, model.speakers)
                evidence[spoken] = self._marked(customer_rows[owners], told)
        sources[(sources == Source.NEIGHBORS) & (evidence == NOTHING)] = Source.COLLABORATIVE
        sources[bought] = Source.REBUY | BOUGHT_FLAG
        sources[viewed] = Source.NEIGHBORS
        evidence[bought] = NOTHING
        evidence[viewed] = frame.item_rows[viewed] | VIEWED_FLAG
        return sources, evidence

    def _largest_contribution(
        self,
        histories: NDArray[np.float32],
        owners: NDArray[np.int64],
        items: NDArray[np.int64],
        weights: csc_matrix,
    ) -> NDArray[np.int64]:
        """Give the item of each owner's history that adds most to a linear model's score of an item, if any does."""
        sources = self.moment.sources
        columns = sources.place[items]
        lengths = np.diff(weights.indptr)[columns]
        begins = np.cumsum(lengths) - lengths
        cells = np.arange(int(lengths.sum())) + np.repeat(weights.indptr[columns] - begins, lengths)
        inputs = weights.indices[cells]
        contributions = histories[np.repeat(owners, lengths), inputs] * weights.data[cells]
        evidence = np.full(len(items), NOTHING, dtype=np.int64)
        some = np.flatnonzero(lengths > 0)
        if len(some) == 0:
            return evidence
        largest = np.maximum.reduceat(contributions, begins[some])
        at = np.flatnonzero((contributions == np.repeat(largest, lengths[some])) & (contributions > 0))
        told, first = np.unique(np.repeat(some, lengths[some])[at], return_index=True)
        evidence[told] = sources.columns[inputs[at[first]]]
        return evidence

    def _marked(self, customers: NDArray[np.int64], evidence: NDArray[np.int64]) -> NDArray[np.int64]:
        """Set VIEWED_FLAG on evidence that the customer never bought."""
        known = np.flatnonzero(evidence != NOTHING)
        pairs = self.moment.pairs.find(customers[known], evidence[known])
        only_viewed = known[self.moment.pairs.count[pairs] == 0]
        evidence[only_viewed] |= VIEWED_FLAG
        return evidence
