"""How far fresh events move a list: learned by replaying a window on the lists of before it.

Each customer's window is cut at a moment of its first half. What they did up to then is folded into the list as a
worker does it; what they bought afterwards tells which items had deserved it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from models.candidates import EMPTY_LIST, CandidateList
from models.fold_model import SIGNALS, FoldWeights, fold_model
from models.folding import Folder, FreshHistory
from models.item_model import ItemModel
from models.profile import ProfileEvent
from training.config import TrainingConfiguration
from training.event_store import Columns, EventStore
from training.features import Cutoff
from training.labels import draw_labels
from training.ranking import ListMaker
from training.windows import Window

REPLAYED_CUSTOMERS = 1_000
"""Customers whose window is replayed, at most: five weights are learned from them."""

SENSIBLE = FoldWeights(collaborative=2.0, neighbors=0.05, bought=1.0, viewed=0.3, unlisted=1.0)
"""Weights held to as far as the labels do not speak otherwise; with no labels at all, the weights."""

_TRUST = 1_000.0
"""How strongly, as the inverse variance of a Gaussian prior: candidates of one customer are not so many witnesses."""

_LEAST_SCALE = 0.1
_EARLIEST, _LATEST = 0.02, 0.5
"""Parts of the window that lie before a customer's cut."""

_BEST = 100
"""Items that the factors like best, which are examples beside those that a large catalogue is searched in."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Holds what n customers did in a window, cut in two.

    ``histories`` (n,) are of before each customer's cut, ``bought`` (n,) the item rows, ascending, of after it.
    """

    histories: Sequence[FreshHistory]
    bought: Sequence[NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class LearnedFold:
    """Is what was learned, and from how many customers, candidates, and purchases of them."""

    weights: FoldWeights
    customers: int = 0
    examples: int = 0
    purchases: int = 0

    def describe(self) -> dict[str, Any]:
        """Give it as JSON for the manifest."""
        return asdict(self) | {"weights": {name: round(value, 4) for name, value in asdict(self.weights).items()}}


def learn_fold(store: EventStore, cutoff: Cutoff, items: ItemModel, maker: ListMaker, window: Window) -> LearnedFold:
    """Replay a window of which nothing was known at the cutoff, for customers drawn from those who bought in it."""
    configuration = maker.configuration
    _, rows, _ = draw_labels(store, configuration, window, REPLAYED_CUSTOMERS)
    if len(rows) == 0:
        return LearnedFold(SENSIBLE)
    folder = Folder(fold_model(cutoff.factors.items, configuration.for_manifest(), SENSIBLE), items)
    table = maker.table(rows, store.ids_at("customers", rows))
    is_known = np.diff(cutoff.interactions.matrix.indptr)[rows] > 0
    lists = [table.list_at(place) if known else None for place, known in enumerate(is_known.tolist())]
    told = replay(_events_within(store, window, rows), rows, list(items.vocabulary), folder, window, configuration)
    return learn_fold_weights(folder, told, lists)


def _events_within(store: EventStore, window: Window, customer_rows: NDArray[np.int64]) -> Columns:
    """Take what customers did in a window: ``customer``, ``item``, ``type`` and ``seconds``, by customer and time."""
    return store.table(
        """SELECT customer, item, type, seconds FROM events
           WHERE seconds >= ? AND seconds < ? AND amount > 0
             AND customer IN (SELECT unnest(CAST(? AS INTEGER[])))
           ORDER BY customer, seconds, item, type""",
        [window.first, window.stop, customer_rows.tolist()],
    )


def replay(
    events: Columns,
    customer_rows: NDArray[np.int64],
    item_ids: Sequence[str],
    folder: Folder,
    window: Window,
    configuration: TrainingConfiguration,
) -> Replay:
    """Cut each customer's part of a window at a drawn moment."""
    randomness = np.random.default_rng([configuration.seed, window.first])
    parts = randomness.uniform(_EARLIEST, _LATEST, len(customer_rows))
    cuts = (window.first + parts * (window.stop - window.first)).astype(np.int64)
    names = list(configuration.event_weights())
    target = names.index(configuration.target)
    starts = np.searchsorted(events["customer"], customer_rows, side="left")
    stops = np.searchsorted(events["customer"], customer_rows, side="right")
    histories, bought = [], []
    for start, stop, cut in zip(starts.tolist(), stops.tolist(), cuts.tolist(), strict=True):
        seconds, items, kinds = (events[name][start:stop] for name in ("seconds", "item", "type"))
        known = int(np.searchsorted(seconds, cut))
        told = [
            ProfileEvent(names[kind], item_ids[item], "", datetime.fromtimestamp(second, UTC))
            for second, item, kind in zip(seconds[:known].tolist(), items[:known], kinds[:known], strict=True)
        ]
        histories.append(folder.history(told, datetime.fromtimestamp(cut, UTC)))
        bought.append(np.unique(items[known:][kinds[known:] == target]).astype(np.int64))
    return Replay(histories, bought)


def learn_fold_weights(folder: Folder, replayed: Replay, published: Sequence[CandidateList | None]) -> LearnedFold:
    """Fit by maximum a posteriori what fresh signals add to the log-odds of ``published`` (n,); likeness adds only.

    Customers without fresh events, or who bought nothing afterwards, teach nothing.
    """
    parts = list(_examples(folder, replayed, published))
    labels = np.concatenate([part[1] for part in parts]) if parts else np.empty(0)
    if not labels.any():
        return LearnedFold(SENSIBLE)
    weights = _fit(np.concatenate([part[0] for part in parts]), labels)
    # Lists are ordered on the scale of their own log-odds, whatever that is.
    learned = FoldWeights(*(weights[: len(SIGNALS)] / weights[-1]).tolist())
    return LearnedFold(learned, len(parts), len(labels), int(labels.sum()))


def _examples(
    folder: Folder, replayed: Replay, published: Sequence[CandidateList | None]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """Give, customer by customer, the columns that :func:`_fit` wants and the labels of the items that may matter."""
    telling = [
        place
        for place, (history, bought) in enumerate(zip(replayed.histories, replayed.bought, strict=True))
        if len(history.rows) and len(bought)
    ]
    vectors = folder.vectors([replayed.histories[place] for place in telling])
    for place, vector in zip(telling, vectors, strict=True):
        history, base = replayed.histories[place], published[place]
        rows = _rows_of(folder, vector, history, base)
        odds, signals = folder.odds(rows, folder.item_factors[rows] @ vector, history, base)
        listed = _marked(rows, (base or EMPTY_LIST).candidates["row"])
        kept = ~np.isin(rows, history.rows[history.weights < 0])
        columns = np.column_stack((signals, listed, 1 - listed, odds)).astype(np.float32)
        yield columns[kept], _marked(rows, replayed.bought[place])[kept]


def _rows_of(
    folder: Folder, vector: NDArray[np.float32], history: FreshHistory, published: CandidateList | None
) -> NDArray[np.int64]:
    """Give the rows that a large catalogue is searched in, and in one that is scored whole the factors' best."""
    pool = folder.pool(history, published)
    if not folder.is_exact:
        return pool
    scores = folder.item_factors @ vector
    return np.union1d(pool, np.argpartition(-scores, min(_BEST, len(scores)) - 1)[:_BEST])


def _marked(rows: NDArray[np.int64], chosen: NDArray[np.integer]) -> NDArray[np.float64]:
    return np.isin(rows, chosen).astype(np.float64)


def _fit(columns: NDArray[np.float32], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a logistic regression with a Gaussian prior around the sensible weights, on the scale of the log-odds.

    ``columns`` (e, len(SIGNALS) + 3): the signals; whether an item is listed, and whether not, for published log-odds
    speak of a whole window and of what is listed; those log-odds, for trees make them steeper than what happens.
    """
    sensible, count = np.array([*asdict(SENSIBLE).values()]), len(SIGNALS)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = columns @ weights
        away = weights[:count] - weights[-1] * sensible
        value = np.logaddexp(0, np.where(labels > 0, -logits, logits)).sum() + 0.5 * _TRUST * away @ away
        gradient = columns.T @ (expit(logits) - labels)
        gradient[:count] += _TRUST * away
        gradient[-1] -= _TRUST * away @ sensible
        return float(value), gradient

    likeness = [(0.0, None) if name in {"collaborative", "neighbors"} else (None, None) for name in SIGNALS]
    bounds = [*likeness, (None, None), (None, None), (_LEAST_SCALE, None)]
    start = np.array([*sensible, 0.0, 0.0, 1.0])
    found: NDArray[np.float64] = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found
