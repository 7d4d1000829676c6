"""Every used event of a run, in memory, in one order: what each moment of the past is computed from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.events import RATING
from training.attributes import Attributes
from training.config import TrainingConfiguration
from training.event_store import SECONDS_PER_DAY, EventStore

_UNITS_PER_MONEY = 10_000


@dataclass(frozen=True, slots=True)
class EventLog:
    """Holds e lines, one per customer, item, second and event type, sorted by customer, item and second.

    ``customer``, ``item`` (e,) int32; ``second`` (e,) int64 UTC; ``strength`` (e,) float32: the type's weight in units
    of the target's, below 0 where it speaks against the item, that of a rating by its stars; ``pace`` (e,) float32: how
    much faster than a target event it fades; ``value`` (e,) float32 in major units of money; ``is_target`` (e,): a
    target event that was not turned round. ``pair`` (e,) int32 numbers the distinct pairs in that order, ``is_first``
    (e,) marks a pair's first target event. ``attributes`` are those of items and customers, now.
    """

    customers: int
    items: int
    customer: NDArray[np.int32]
    item: NDArray[np.int32]
    second: NDArray[np.int64]
    strength: NDArray[np.float32]
    pace: NDArray[np.float32]
    value: NDArray[np.float32]
    is_target: NDArray[np.bool_]
    pair: NDArray[np.int32]
    is_first: NDArray[np.bool_]
    attributes: Attributes

    def ages_at(self, cut: int) -> NDArray[np.float32]:
        """Give each line's age in days at a second; what comes later has an age below 0, what comes at it 0."""
        ages: NDArray[np.float32] = ((cut - self.second) / SECONDS_PER_DAY).astype(np.float32)
        return ages


def load_log(
    store: EventStore, configuration: TrainingConfiguration, shape: tuple[int, int], attributes: Attributes
) -> EventLog:
    """Take all events out of the store; about 40 bytes each are held."""
    weights = configuration.event_weights()
    told = f"CASE WHEN type = {list(weights).index(RATING)} THEN amount WHEN amount > 0 THEN 1 ELSE -1 END"
    lines = store.table(
        f"""SELECT customer, item, seconds, type, max({told}) AS told,
                   CAST(sum(CAST(round(value * {_UNITS_PER_MONEY}) AS BIGINT)) AS BIGINT) AS value
            FROM events GROUP BY customer, item, seconds, type ORDER BY customer, item, seconds, type"""
    )
    store.rest()
    target = weights[configuration.target]
    kinds = lines["type"]
    told_by = lines["told"].astype(np.float32)
    strengths = np.array([kind.weight / target.weight for kind in weights.values()], dtype=np.float32)
    paces = np.array([target.half_life_days / kind.half_life_days for kind in weights.values()], dtype=np.float32)
    is_target = (kinds == list(weights).index(configuration.target)) & (told_by > 0)
    pair = _number_pairs(lines["customer"], lines["item"])
    return EventLog(
        *shape,
        customer=lines["customer"].astype(np.int32),
        item=lines["item"].astype(np.int32),
        second=lines["seconds"].astype(np.int64),
        strength=strengths[kinds] * told_by,
        pace=paces[kinds],
        value=(lines["value"] / _UNITS_PER_MONEY).astype(np.float32),
        is_target=is_target,
        pair=pair,
        is_first=_firsts(pair, is_target),
        attributes=attributes,
    )


def _number_pairs(customer: NDArray[np.int32], item: NDArray[np.int32]) -> NDArray[np.int32]:
    begins = np.ones(len(customer), dtype=bool)
    begins[1:] = (customer[1:] != customer[:-1]) | (item[1:] != item[:-1])
    return (np.cumsum(begins) - 1).astype(np.int32)


def _firsts(pair: NDArray[np.int32], is_target: NDArray[np.bool_]) -> NDArray[np.bool_]:
    targets = np.flatnonzero(is_target)
    firsts = np.zeros(len(pair), dtype=bool)
    firsts[targets[np.unique(pair[targets], return_index=True)[1]]] = True
    return firsts
