"""What is known, at a moment, of items and of customers by themselves; one row each, one column per named trait."""

import numpy as np
from numpy.typing import NDArray

from training.learned.log import EventLog
from training.learned.pairs import NEVER, Pairs

ITEM_TRAITS = (
    "item-sales-7",
    "item-sales-30",
    "item-sales-90",
    "item-trend-15",
    "item-trend-30",
    "item-buyers",
    "item-recent-buyers",
    "item-new-buyers",
    "item-new-share",
    "item-new-trend",
    "item-since",
    "item-age",
    "item-price",
    "item-price-change",
    "item-repeat-rate",
    "item-season",
    "item-season-trend",
    "item-breadth",
)
"""Traits of items, logarithms where they are sizes; "new" counts customers' first target events of the item."""

CUSTOMER_TRAITS = (
    "customer-baskets",
    "customer-recent-baskets",
    "customer-since",
    "customer-age",
    "customer-gap",
    "customer-items",
    "customer-recent-lines",
    "customer-new-lines",
    "customer-new-share",
    "customer-basket-size",
    "customer-spend",
)
"""Traits of customers; a basket is all target events of one customer in one second."""


def item_traits(log: EventLog, pairs: Pairs, cut: int) -> NDArray[np.float32]:
    """Give (items, len(ITEM_TRAITS)) float32, from target events before the cut."""
    known = log.is_target & (log.second < cut)
    ages, item, first = log.ages_at(cut)[known], log.item[known], log.is_first[known]

    def lines(oldest: float, youngest: float = 0.0, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        within = (ages > youngest) & (ages <= oldest)
        within = within if chosen is None else within & chosen
        return np.bincount(item[within], minlength=log.items).astype(np.float32)

    bought = pairs.count > 0
    buyers = np.bincount(pairs.item[bought], minlength=log.items).astype(np.float32)
    again = np.bincount(pairs.item[pairs.count > 1], minlength=log.items).astype(np.float32)
    recent = np.bincount(pairs.item[pairs.last_age <= 30], minlength=log.items).astype(np.float32)
    new, earlier_new = lines(30, chosen=first), lines(60, 30, first)
    season, before_season = lines(365, 335), lines(395, 365)
    breadth = np.diff(pairs.starts)[np.repeat(np.arange(log.customers), np.diff(pairs.starts))]
    price, change = _prices(log, known, ages)
    columns = (
        np.log1p(lines(7)),
        np.log1p(lines(30)),
        np.log1p(lines(90)),
        _ratio(lines(15), lines(30, 15)),
        _ratio(lines(30), lines(90, 30) / np.float32(2)),
        np.log1p(buyers),
        np.log1p(recent),
        np.log1p(new),
        (new + 1) / (lines(30) + 2),
        _ratio(new, earlier_new),
        np.log1p(_extreme(item, ages, log.items, np.minimum)),
        np.log1p(_extreme(item, ages, log.items, np.maximum)),
        price,
        change,
        (again + 1) / (buyers + 10),
        np.log1p(season),
        _ratio(season, before_season),
        np.log1p(_mean(pairs.item[bought], breadth[bought].astype(np.float32), log.items)),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def customer_traits(log: EventLog, pairs: Pairs, cut: int) -> NDArray[np.float32]:
    """Give (customers, len(CUSTOMER_TRAITS)) float32, from target events before the cut."""
    known = log.is_target & (log.second < cut)
    ages, customer, first = log.ages_at(cut)[known], log.customer[known], log.is_first[known]
    baskets, basket_age = _baskets(customer, log.second[known], cut)
    count = log.customers

    def lines(oldest: float, chosen: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        within = ages <= oldest if chosen is None else (ages <= oldest) & chosen
        return np.bincount(customer[within], minlength=count).astype(np.float32)

    basket_count = np.bincount(baskets, minlength=count).astype(np.float32)
    since = _extreme(baskets, basket_age, count, np.minimum)
    age = _extreme(baskets, basket_age, count, np.maximum)
    all_lines = lines(np.inf)
    columns = (
        np.log1p(basket_count),
        np.log1p(np.bincount(baskets[basket_age <= 60], minlength=count)),
        np.log1p(since),
        np.log1p(age),
        np.log1p(np.where(basket_count > 1, (age - since) / np.maximum(basket_count - 1, 1), NEVER)),
        np.log1p(np.diff(pairs.starts)),
        np.log1p(lines(60)),
        np.log1p(lines(60, first)),
        (lines(180, first) + 1) / (lines(180) + 2),
        all_lines / np.maximum(basket_count, 1),
        _mean(customer, np.log1p(np.maximum(log.value[known], 0)), count),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _baskets(
    customer: NDArray[np.int32], second: NDArray[np.int64], cut: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Give the customer and the age in days of each basket."""
    keys = np.unique((customer.astype(np.int64) << 34) | second)
    return keys >> 34, ((cut - (keys & (2**34 - 1))) / 86_400).astype(np.float32)


def _prices(
    log: EventLog, known: NDArray[np.bool_], ages: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the mean logarithm of a line's value per item, and how far it moved in the last 30 days."""
    worth, item = np.log1p(np.maximum(log.value[known], 0)), log.item[known]
    always, lately = _mean(item, worth, log.items), _mean(item[ages <= 30], worth[ages <= 30], log.items)
    return always, np.where(lately > 0, lately - always, 0).astype(np.float32)


def _mean(rows: NDArray[np.int64] | NDArray[np.int32], values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    counts = np.bincount(rows, minlength=size)
    mean: NDArray[np.float32] = (np.bincount(rows, values, size) / np.maximum(counts, 1)).astype(np.float32)
    return mean


def _extreme(
    rows: NDArray[np.int64] | NDArray[np.int32], ages: NDArray[np.float32], size: int, which: np.ufunc
) -> NDArray[np.float32]:
    """Take the smallest or largest age per row, NEVER where there is none."""
    extreme = np.full(size, NEVER if which is np.minimum else -1, dtype=np.float32)
    which.at(extreme, rows, ages)
    return np.where(extreme < 0, NEVER, extreme)


def _ratio(now: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    ratio: NDArray[np.float32] = np.log((now + 1) / (before + 1)).astype(np.float32)
    return ratio
