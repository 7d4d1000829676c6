"""The outlook of every customer at a cut: scores of recency, frequency and spending, and what is expected of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.outlook import OUTLOOK, VALUE_DAYS, OutlookArray
from training.config import TrainingConfiguration
from training.event_store import SECONDS_PER_DAY, EventStore
from training.lifetimes import Floats, Purchases, fit_returning, fit_spending

_UNITS_PER_MONEY = 10_000
_SAMPLE = 20_000
"""Customers that the models are fitted to: with more, the parameters no longer move."""
_BORROWED_INTERVALS = 2.0
"""How many intervals of the average customer stand beside a customer's own ones."""


@dataclass(frozen=True, slots=True)
class PurchaseHistory:
    """Holds what those who bought before the cut did, (n,) each.

    ``rows`` of the customers ascend; on ``days`` different days (UTC) they bought; ``first`` and ``last`` are the
    seconds of these purchases, UTC since 1970; ``spent`` is what they spent in all, in major units of money.
    """

    rows: NDArray[np.int64]
    days: Floats
    first: Floats
    last: Floats
    spent: Floats


def outlooks_at(store: EventStore, configuration: TrainingConfiguration, customers: int, cut: int) -> OutlookArray:
    """Give the outlook of each customer, (customers,) OUTLOOK, from the target events before a second, 0 for others."""
    outlooks = np.zeros(customers, dtype=OUTLOOK)
    history = _history(store, configuration, cut)
    if len(history.rows):
        outlooks[history.rows] = outlooks_of(history, cut)
    return outlooks


def outlooks_of(history: PurchaseHistory, cut: int) -> OutlookArray:
    """Give the outlook of each customer of a history, which has at least one, (n,) OUTLOOK."""
    outlooks = np.zeros(len(history.rows), dtype=OUTLOOK)
    known = purchases_of(history, cut)
    outlooks["recency"] = scores_of(history.last)
    outlooks["frequency"] = scores_of(history.days)
    outlooks["monetary"] = scores_of(history.spent)
    returning = fit_returning(_sampled(known))
    outlooks["churn_risk"] = 1 - returning.alive(known)
    outlooks["value"] = returning.expected(known, VALUE_DAYS) * expected_spending(history)
    outlooks["purchase_days"] = known.last + intervals_of(known) - known.age
    return outlooks


def purchases_of(history: PurchaseHistory, cut: int) -> Purchases:
    """Give a history as the models take it: purchases of one day are one."""
    return Purchases(
        history.days - 1,
        np.where(history.days > 1, history.last - history.first, 0) / SECONDS_PER_DAY,
        (cut - history.first) / SECONDS_PER_DAY,
    )


def scores_of(values: Floats) -> NDArray[np.uint8]:
    """Score values (n,) from 1 to 5 by the share of all that are less, and half of those that are equal."""
    ascending = np.sort(values)
    ranks = (np.searchsorted(ascending, values) + np.searchsorted(ascending, values, side="right")) / 2
    return (1 + np.floor(5 * ranks / len(values))).astype(np.uint8)


def intervals_of(known: Purchases) -> Floats:
    """Give the days that pass from one purchase of a customer to the next, (n,): their mean, drawn to that of all.

    Where nobody came back it is as long as customers have been there.
    """
    repeats = float(np.sum(known.repeats))
    average = float(np.sum(known.last)) / repeats if repeats else float(np.max(known.age))
    return np.asarray((known.last + _BORROWED_INTERVALS * average) / (known.repeats + _BORROWED_INTERVALS))


def expected_spending(history: PurchaseHistory) -> Floats:
    """Give what a day of purchases of each customer is expected to be worth, (n,); 0 where sources have no values."""
    mean = np.maximum(history.spent, 0) / history.days
    paid = np.flatnonzero(mean > 0)
    if len(paid) == 0:
        return mean
    sample = paid[:: len(paid) // _SAMPLE + 1]
    spending = fit_spending(history.days[sample], mean[sample])
    return spending.expected(history.days, mean)


def _sampled(known: Purchases) -> Purchases:
    step = len(known.age) // _SAMPLE + 1
    return Purchases(known.repeats[::step], known.last[::step], known.age[::step])


def _history(store: EventStore, configuration: TrainingConfiguration, cut: int) -> PurchaseHistory:
    code = list(configuration.event_weights()).index(configuration.target)
    # Sums of integers do not depend on the order of threads, sums of floats do.
    columns = store.table(
        f"""SELECT customer, count(DISTINCT seconds // {SECONDS_PER_DAY}) AS days, min(seconds) AS first,
                   max(seconds) AS last, CAST(sum(CAST(round(value * {_UNITS_PER_MONEY}) AS BIGINT)) AS BIGINT) AS spent
            FROM events WHERE type = ? AND seconds < ? AND amount > 0 GROUP BY customer ORDER BY customer""",
        [code, cut],
    )
    store.rest()
    return PurchaseHistory(
        columns["customer"].astype(np.int64),
        columns["days"].astype(np.float64),
        columns["first"].astype(np.float64),
        columns["last"].astype(np.float64),
        columns["spent"].astype(np.float64) / _UNITS_PER_MONEY,
    )
