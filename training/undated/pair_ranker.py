"""Trees that foresee the target from frames, taught by target cells that were held out of everything else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.progress import Progress
from training.boosting import boost
from training.chunk import best_per_owner
from training.sources.source import NOTHING
from training.undated.behaviors import Behaviors
from training.undated.holdout import labels_of
from training.undated.opinions import learn_opinions
from training.undated.pair_frames import PairFrames

if TYPE_CHECKING:
    from lightgbm import Booster

CUSTOMERS_PER_FRAME = 512


@dataclass(frozen=True, slots=True)
class PairRankerSettings:
    """Says how many target cells of each customer teach, what part of the other candidates does, and for how long."""

    folds: int = 2
    negative_share: float = 0.3
    rounds: int = 250


@dataclass(frozen=True, slots=True)
class PairRanker:
    """Scores the candidates of frames with trees."""

    frames: PairFrames
    trees: "Booster"

    def lists(self, customer_rows: NDArray[np.int64], hidden: csr_matrix, size: int) -> NDArray[np.int64]:
        """List each customer's best candidates, (n, size) item rows, NOTHING after the last.

        Cells of ``hidden`` (customers, items) are left out.
        """
        lists = np.full((len(customer_rows), size), NOTHING, dtype=np.int64)
        for start in range(0, len(customer_rows), CUSTOMERS_PER_FRAME):
            rows = customer_rows[start : start + CUSTOMERS_PER_FRAME]
            frame = self.frames.frame(rows)
            shown = ~(hidden[rows].toarray() > 0)[frame.owners, frame.item_rows]
            scores = np.asarray(self.trees.predict(frame.features[shown], raw_score=True), dtype=np.float32)
            chosen, owners, places = best_per_owner(frame.owners[shown], scores, size)
            lists[start + owners, places] = frame.item_rows[shown][chosen]
        return lists


def learn_pair_ranker(
    behaviors: Behaviors, settings: PairRankerSettings, seed: int, threads: int, progress: Progress
) -> PairRanker:
    """Hold one target cell of each customer out per fold, learn models of the rest, and teach trees to find it again.

    What is held out is in no model and no count that its own example is described by. The ranker's models are then
    learned from everything.
    """
    features, labels = [], []
    with progress.stage("teach", settings.folds) as stage:
        for fold, (left, held) in enumerate(behaviors.folds(settings.folds, seed)):
            frames = PairFrames.over(left, learn_opinions(left, seed, threads))
            for taught, found in _examples(frames, held, settings, seed + fold):
                features.append(taught)
                labels.append(found)
            stage.advance(1)
    with progress.stage("grow", None):
        trees = _grow(np.concatenate(features), np.concatenate(labels), frames.names, settings, seed, threads)
    return PairRanker(PairFrames.over(behaviors, learn_opinions(behaviors, seed, threads)), trees)


def _examples(
    frames: PairFrames, held: csr_matrix, settings: PairRankerSettings, seed: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Describe what was held out, where it is a candidate, and a part of the other candidates; yields by customers."""
    randomness = np.random.default_rng(seed)
    customers = np.flatnonzero(np.diff(held.indptr))
    for start in range(0, len(customers), CUSTOMERS_PER_FRAME):
        rows = customers[start : start + CUSTOMERS_PER_FRAME]
        frame = frames.frame(rows)
        found = labels_of(held[rows]).find(frame.owners, frame.item_rows) != NOTHING
        kept = found | (randomness.random(len(found)) < settings.negative_share)
        yield frame.features[kept], found[kept]


def _grow(
    features: NDArray[np.float32],
    labels: NDArray[np.bool_],
    names: list[str],
    settings: PairRankerSettings,
    seed: int,
    threads: int,
) -> "Booster":
    parameters = {"objective": "binary", "learning_rate": 0.05, "max_bin": 127, "seed": seed, "num_threads": threads}
    return boost(features, labels, names, parameters, settings.rounds)
