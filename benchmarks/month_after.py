"""The month after a data set's cut: who came, what they bought, and how lists of before compare with it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.dated_sets import EventFiles
from models.artifact import Artifact
from models.errors import PreconditionError
from models.item_model import EVERYONE
from models.progress import SilentProgress
from training.calibration import calibration
from training.chunk import chunk_of
from training.config import ColumnMapping, EventWeight, TrainingConfiguration
from training.evaluation import POPULAR_NOW, Table, measure
from training.event_store import EventStore
from training.files import find_files
from training.interactions import Interactions, load_interactions
from training.labels import draw_labels, labels_of
from training.metrics import hits_of
from training.rows import RowRules
from training.scopes import judged_of
from training.sources.popular import Popular
from training.sources.rebuy import Rebuy
from training.sources.source import NOTHING, CandidateSource
from training.windows import Window

MONTH = 31.0
OWN_HISTORY, POPULAR_EVER = "own-history", "popular-ever"

_WIDTH = 50
_EVERY_CUSTOMER = 2**31
_OWN_HISTORY_WEIGHTS = {"purchase": EventWeight(weight=1.0, half_life_days=120.0)}


class MonthAfter:
    """Knows the customers with a purchase after the cut, what it was, and what they had done before."""

    def __init__(self, store: EventStore, files: EventFiles) -> None:
        self._store = store
        configuration = TrainingConfiguration(events=_OWN_HISTORY_WEIGHTS, quantity_damping="ignore")
        self._configuration = configuration
        rules = RowRules(ColumnMapping(), configuration, datetime.now(UTC))
        summary, _ = store.read(find_files([str(files.everything)]), rules, SilentProgress())
        cut = int(files.cut.timestamp())
        self._window = Window(cut, summary.last_second + 1)
        self._shape = (summary.customers, summary.items)
        self._interactions: Interactions = load_interactions(store, configuration, self._shape, cut, SilentProgress())
        _, self._rows, labels = draw_labels(store, configuration, self._window, _EVERY_CUSTOMER)
        self._chunk = chunk_of(self._interactions, self._rows)
        self._judged = judged_of(labels, self._chunk)
        self._places = {table: _numbered(store.ids(table)) for table in ("customers", "items")}

    def event_types(self) -> Sequence[str]:
        """Name the types of event that are used."""
        names = list(self._configuration.event_weights())
        return [names[code] for code in self._store.table("SELECT DISTINCT type FROM events ORDER BY type")["type"]]

    def compare(self, models: Mapping[str, Artifact]) -> Table:
        """Measure the lists of models, by name, and the trivial ones."""
        interactions = self._interactions
        trivial: Mapping[str, CandidateSource] = {
            OWN_HISTORY: Rebuy(_WIDTH),
            POPULAR_NOW: Popular(interactions.recent_buyers, _WIDTH),
            POPULAR_EVER: Popular(interactions.buyers().astype(np.float32), _WIDTH),
        }
        rivals = {name: source.propose(self._chunk).item_rows for name, source in trivial.items()}
        rivals |= {name: self._lists_of(artifact)[0][self._rows] for name, artifact in models.items()}
        return measure(self._judged, rivals)

    def calibration(self, artifact: Artifact) -> Mapping[str, Any]:
        """Compare P of all that known customers were listed, whether they came or not, with what they bought."""
        propensity = artifact.items().propensity
        if propensity is None:
            raise PreconditionError("the model does not say what its scores mean")
        item_rows, scores, known = self._lists_of(artifact)
        labels = labels_of(self._store, self._configuration, self._window, known)
        item_rows, scores = item_rows[known], scores[known]
        listed = item_rows != NOTHING
        return calibration(propensity.of_all(scores[listed]), hits_of(item_rows, labels).is_hit[listed])

    def _lists_of(self, artifact: Artifact) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Give item rows and scores for everybody, (customers, k), and the ascending rows of those with own lists."""
        model = artifact.items()
        item_rows = np.array([self._places["items"][item] for item in model.vocabulary], dtype=np.int64)
        size = artifact.manifest.configuration["list_size"]
        everyone = model.shared_lists[EVERYONE][:size]
        rows = np.full((self._shape[0], size), NOTHING, dtype=np.int64)
        rows[:, : len(everyone)] = item_rows[everyone["row"]]
        scores = np.zeros(rows.shape, dtype=np.float32)
        known: list[int] = []
        for table in artifact.lists():
            customers = [self._places["customers"][customer] for customer in table.customer_ids]
            listed = np.arange(size) < table.counts[:, np.newaxis]
            rows[customers] = np.where(listed, item_rows[table.candidates["row"]], NOTHING)
            scores[customers] = np.where(listed, table.candidates["score"], 0)
            known += customers
        return rows, scores, np.array(sorted(known), dtype=np.int64)


def _numbered(ids: Sequence[str]) -> Mapping[str, int]:
    return {name: row for row, name in enumerate(ids)}
