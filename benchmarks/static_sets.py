"""The published data sets without dates, as their publishers split them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.metrics import Ratio, hits_of, ndcg, recall
from training.undated.behaviors import Behaviors
from training.undated.holdout import labels_of

STATIC_SETS: Mapping[str, str] = {"gowalla": "gowalla_lightgcn", "taobao": "taobao_mbcgcn"}
"""The folder of each set."""


@dataclass(frozen=True, slots=True)
class Split:
    """Holds a data set as its publishers split it, all matrices (customers, items).

    ``behaviors`` is train; ``test`` is what is to be found; ``met`` is everything else, test rows of other behaviours
    included.
    """

    behaviors: Behaviors
    test: csr_matrix
    met: csr_matrix

    @property
    def known(self) -> csr_matrix:
        """Give what lists of the standard protocol leave out: the target in train."""
        return self.behaviors.targets

    @property
    def customer_rows(self) -> NDArray[np.int64]:
        """Name the customers with something to be found."""
        return np.flatnonzero(np.diff(self.test.indptr))

    def customers_of_novel(self) -> NDArray[np.int64]:
        """Name the customers whose test item is in nothing else they did."""
        met_again = self.test.multiply(self.met)
        return np.flatnonzero((np.diff(self.test.indptr) > 0) & (met_again.sum(axis=1).A1 == 0))

    def of_some(self, customers: int, seed: int) -> "Split":
        """Draw so many customers with all items, or keep everyone when 0 or when there are no more."""
        if customers == 0:
            return self
        rows = np.sort(np.random.default_rng(seed).permutation(self.test.shape[0])[:customers])
        matrices = {name: matrix[rows] for name, matrix in self.behaviors.matrices.items()}
        return Split(Behaviors(self.behaviors.target, matrices), self.test[rows], self.met[rows])


def measure(lists: NDArray[np.int64], truth: csr_matrix, places: int) -> dict[str, Ratio]:
    """Measure lists (n, places) of item rows against what was to be found, (n, items)."""
    hits = hits_of(lists, labels_of(truth))
    return {f"recall-{places}": recall(hits, places), f"ndcg-{places}": ndcg(hits, places)}


def read_split(data: Path, name: str, *, shuffled: bool = False, seed: int = 1) -> Split:
    """Read a set of the folder; ``shuffled`` deals the items of each part out anew."""
    path = data / STATIC_SETS[name] / "interactions.parquet"
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT dense_rank() OVER (ORDER BY user_id) - 1 AS customer, event, split,"
            " dense_rank() OVER (ORDER BY item_id) - 1 AS item"
            " FROM read_parquet(?) ORDER BY event, split, customer, item", [str(path)]
        ).fetchnumpy()  # fmt: skip
    shape = (int(rows["customer"].max()) + 1, int(rows["item"].max()) + 1)
    parts = {
        (event, part): (rows["customer"][chosen], rows["item"][chosen])
        for event in np.unique(rows["event"]).tolist()
        for part in ("train", "test")
        if (chosen := (rows["event"] == event) & (rows["split"] == part)).any()
    }
    if shuffled:
        randomness = np.random.default_rng(seed)
        parts = {name: (customers, randomness.permutation(items)) for name, (customers, items) in parts.items()}
    return _split({name: _matrix(*pairs, shape) for name, pairs in parts.items()})


def _split(parts: Mapping[tuple[str, str], csr_matrix]) -> Split:
    events = sorted({event for event, _ in parts})
    target = "purchase" if "purchase" in events else events[0]
    behaviors = Behaviors(target, {event: parts[event, "train"] for event in events})
    test = parts[target, "test"]
    # Shuffling may put an item of test among those that lists leave out.
    test = (test - test.multiply(behaviors.targets)).tocsr()
    test.eliminate_zeros()
    met = behaviors.targets
    for (event, part), matrix in parts.items():
        if (event, part) != (target, "test"):
            met = met.maximum(matrix)
    return Split(behaviors, test, met.tocsr())


def _matrix(customers: NDArray[np.int64], items: NDArray[np.int64], shape: tuple[int, int]) -> csr_matrix:
    matrix = csr_matrix((np.ones(len(customers), dtype=np.float32), (customers, items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
