"""Groups of customers at a moment: what those of one age, region or tier have bought more than others lately."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.customer_attributes import NO_GROUP, CustomerAttributes
from training.learned.pairs import Pairs

_LATELY = np.float32(90.0)
_DOUBT = np.float32(5.0)
"""Buyers that are taken to be as many as the group's size lets expect, so that a small group says little."""


def group_features(names: tuple[str, ...]) -> tuple[str, ...]:
    """Name what attributes of customers of these names add to a frame: each value, and the taste of its group."""
    return (*(f"attribute-{name}" for name in names), *(f"group-{name}" for name in names))


@dataclass(frozen=True, slots=True)
class Groups:
    """Holds the taste of groups for c columns: ``tastes``, per attribute (groups + 1, c) float32, the last row 0.

    A taste is the logarithm of how many times as many of the group bought the item as its size lets expect.
    """

    attributes: CustomerAttributes
    tastes: tuple[NDArray[np.float32], ...]

    def describe(self, customers: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
        """Describe pairs of a row and a column, -1 for none, both (p,), as (p, len(group_features(names)))."""
        if not self.tastes:
            return np.empty((len(customers), 0), dtype=np.float32)
        groups = self.attributes.groups[customers]
        told = [tastes[groups[:, place], columns] for place, tastes in enumerate(self.tastes)]
        inside = (columns >= 0)[:, np.newaxis]
        return np.concatenate([self.attributes.values[customers], np.where(inside, np.stack(told, axis=1), 0)], axis=1)


def groups_at(pairs: Pairs, attributes: CustomerAttributes, place: NDArray[np.int64], columns: int) -> Groups:
    """Count who bought what lately; ``place`` (items,) leads to the columns or is -1."""
    customers = np.repeat(np.arange(len(pairs.starts) - 1), np.diff(pairs.starts))
    lately = np.flatnonzero(pairs.last_age <= _LATELY)
    buyers, items = customers[lately], place[pairs.item[lately]]
    active = np.unique(buyers)
    inside = items >= 0
    buyers, items = buyers[inside], items[inside]
    return Groups(
        attributes,
        tuple(
            _tastes(groups[buyers], items, np.bincount(groups[active] + 1)[1:], columns)
            for groups in attributes.groups.T
        ),
    )


def _tastes(
    groups: NDArray[np.int64], items: NDArray[np.int64], sizes: NDArray[np.int64], columns: int
) -> NDArray[np.float32]:
    """Compare, for buyers' groups and what they bought, with what groups of these sizes would have bought alike."""
    known = groups != NO_GROUP
    counts = np.bincount(groups[known] * columns + items[known], minlength=len(sizes) * columns)
    bought = counts.reshape(len(sizes), columns).astype(np.float32)
    shares = (sizes / max(int(sizes.sum()), 1)).astype(np.float32)
    expected = shares[:, np.newaxis] * bought.sum(axis=0)
    tastes = np.zeros((len(sizes) + 1, columns), dtype=np.float32)
    tastes[:-1] = np.log((bought + _DOUBT) / (expected + _DOUBT))
    return tastes
