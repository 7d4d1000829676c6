"""What customers bought in a label window, for a bounded, seeded sample of them."""

import numpy as np
from numpy.typing import NDArray

from training.config import TrainingConfiguration
from training.event_store import EventStore
from training.metrics import Labels
from training.windows import Window

_UNITS_PER_MONEY = 10_000
_BOUGHT = "type = ? AND seconds >= ? AND seconds < ? AND amount > 0"


def draw_labels(
    store: EventStore, configuration: TrainingConfiguration, window: Window, most: int
) -> tuple[int, NDArray[np.int64], Labels]:
    """Draw at most ``most`` of the customers who bought in the window, and give what they bought.

    Gives how many bought at all, the rows of those drawn, ascending, and their labels in that order.
    """
    code = list(configuration.event_weights()).index(configuration.target)
    bounds = [code, window.first, window.stop]
    found = store.table(f"SELECT DISTINCT customer FROM events WHERE {_BOUGHT} ORDER BY customer", bounds)["customer"]
    rows = found.astype(np.int64)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(configuration.seed).choice(rows, most, replace=False))
    store.rest()
    return len(found), rows, labels_of(store, configuration, window, rows)


def labels_of(
    store: EventStore, configuration: TrainingConfiguration, window: Window, rows: NDArray[np.int64]
) -> Labels:
    """Give what these customers, of ascending rows, bought in the window; nothing for those who did not buy."""
    bounds = [list(configuration.event_weights()).index(configuration.target), window.first, window.stop]
    # Sums of integers do not depend on the order of threads, sums of floats do.
    pairs = store.table(
        f"""SELECT customer, item, CAST(sum(CAST(round(value * {_UNITS_PER_MONEY}) AS BIGINT)) AS BIGINT) AS value
            FROM events WHERE {_BOUGHT} AND customer IN (SELECT unnest(CAST(? AS INTEGER[])))
            GROUP BY customer, item ORDER BY customer, item""",
        [*bounds, rows.tolist()],
    )
    store.rest()
    owners = np.searchsorted(rows, pairs["customer"]).astype(np.int64)
    values = pairs["value"].astype(np.float64) / _UNITS_PER_MONEY
    return Labels(len(rows), owners, pairs["item"].astype(np.int64), values)
