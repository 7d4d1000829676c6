"""Between a backtest as it is kept beside a model and what measures are taken of."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.backtest import NO_ITEM, WIDTH, Backtest
from training.metrics import Labels
from training.scopes import History, Judged
from training.sources.source import NOTHING


def backtest_of(customer_ids: list[str], lists: NDArray[np.int64], judged: Judged) -> Backtest:
    """Keep the first places of lists (n, k), with the labels and histories that they are judged by."""
    kept, labels, history = lists[:, :WIDTH], judged.labels, judged.history
    lengths = np.bincount(history.owners, minlength=labels.customers)
    return Backtest(
        customer_ids,
        np.where(kept == NOTHING, NO_ITEM, kept).astype(np.uint32),
        labels.owners.astype(np.uint32),
        labels.item_rows.astype(np.uint32),
        labels.values,
        np.append(0, np.cumsum(lengths)),
        history.item_rows.astype(np.uint32),
        history.bought,
        np.flatnonzero(judged.young).astype(np.uint32),
    )


def judged_by(backtest: Backtest, items: int) -> Judged:
    """Give what lists can be judged by again; ``items`` counts those of the model."""
    customers = len(backtest.customer_ids)
    labels = Labels(
        customers,
        backtest.label_owners.astype(np.int64),
        backtest.label_rows.astype(np.int64),
        backtest.label_values,
    )
    owners = np.repeat(np.arange(customers), np.diff(backtest.history_offsets))
    young = np.zeros(items, dtype=bool)
    young[backtest.young_rows] = True
    return Judged(labels, History(owners, backtest.history_rows.astype(np.int64), backtest.history_bought), young)


def lists_of(backtest: Backtest) -> NDArray[np.int64]:
    """Give the lists (n, k) of item rows, NOTHING after the last."""
    return np.where(backtest.lists == NO_ITEM, NOTHING, backtest.lists.astype(np.int64))


def rows_in(ids: Sequence[str], others: Sequence[str]) -> NDArray[np.int64]:
    """Tell where each of ``ids`` stands among ``others``, NOTHING where it does not, (len(ids),)."""
    places = {name: place for place, name in enumerate(others)}
    return np.fromiter((places.get(name, NOTHING) for name in ids), dtype=np.int64, count=len(ids))
