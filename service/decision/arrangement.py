"""From contenders to a slate: pinned places, the promoted share, limits by category, and maximal marginal relevance.

Maximal marginal relevance is that of Carbonell and Goldstein (SIGIR 1998): each place goes to what has the highest
(1 - d) × worth - d × likeness to what already stands.
"""  # noqa: RUF002 - the sign of multiplication is meant

from collections.abc import Iterator, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from models.item_model import ItemModel
from models.policy import Policy
from service.decision.arbitration import Contender


class AppliedRule(IntEnum):
    """Names a rule that moved an offer. The numbers are those of ``dangol.v1.AppliedRule``; a test holds them so."""

    PINNED = 1
    PROMOTED = 2
    DIVERSIFIED = 3
    ROTATED = 4


Place = tuple[Contender, tuple[AppliedRule, ...]]


def arrange(
    contenders: Sequence[Contender], pinned: dict[int, Contender], policy: Policy, size: int, model: ItemModel
) -> list[Place]:
    """Give at most ``size`` contenders in the order in which they stand, each with the rules that moved it.

    ``pinned`` (place from 0 → contender) are not among ``contenders``, share no slot and no offer with them, and lie
    within ``size``.
    """
    arrangement = _Arrangement(contenders, pinned, policy, size, model)
    return arrangement.run()


class _Arrangement:
    """Fills one slate place by place."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        pinned: dict[int, Contender],
        policy: Policy,
        size: int,
        model: ItemModel,
    ) -> None:
        self._pinned = pinned
        self._policy = policy
        self._size = size
        self._waiting = sorted(contenders, key=lambda contender: -contender.worth)
        self._promoted = policy.promotion.label if policy.promotion is not None else ""
        self._owed = size * policy.promotion.percent // 100 if policy.promotion is not None else 0
        self._counts: dict[str, int] = {}
        self._likeness = _Likeness(self._waiting, policy.diversity_percent / 100, model)
        self._places: list[Place] = []
        for contender in pinned.values():
            self._account(contender)

    def run(self) -> list[Place]:
        """Fill every place that can be filled; a pinned one moves up when there is nothing to stand before it."""
        for place in range(self._size):
            contender = self._pinned.get(place)
            if contender is not None:
                self._places.append((contender, (AppliedRule.PINNED, *_rotated(contender))))
                self._likeness.stands(contender)
            else:
                self._fill(self._size - place - sum(later > place for later in self._pinned))
        return self._marked()

    def _fill(self, free: int) -> None:
        """Fill one of ``free`` places that are not pinned; what is owed to the promoted is paid at the latest."""
        best = self._best(promoted_only=False)
        rules: tuple[AppliedRule, ...] = ()
        if best is not None and self._owed >= free and not best.carries(self._promoted):
            promoted = self._best(promoted_only=True)
            if promoted is not None:
                best, rules = promoted, (AppliedRule.PROMOTED,)
        if best is None:
            return
        self._likeness.take(best)
        self._account(best)
        self._places.append((best, (*rules, *_rotated(best))))

    def _account(self, contender: Contender) -> None:
        if contender.item is not None and contender.item.category:
            self._counts[contender.item.category] = self._counts.get(contender.item.category, 0) + 1
        if self._owed and contender.carries(self._promoted):
            self._owed -= 1

    def _best(self, *, promoted_only: bool) -> Contender | None:
        limit = self._policy.maximal_per_category
        for contender in self._likeness.in_order():
            if promoted_only and not contender.carries(self._promoted):
                continue
            category = contender.item.category if contender.item is not None else ""
            if not limit or not category or self._counts.get(category, 0) < limit:
                return contender
        return None

    def _marked(self) -> list[Place]:
        """Mark what stands below something worth less because of the rules on likeness."""
        if not (self._policy.diversity_percent or self._policy.maximal_per_category):
            return self._places
        lowest, marked = float("inf"), []
        for contender, rules in self._places:
            moved = not rules and contender.worth > lowest
            marked.append((contender, (*rules, AppliedRule.DIVERSIFIED) if moved else rules))
            if AppliedRule.PINNED not in rules and AppliedRule.PROMOTED not in rules:
                lowest = min(lowest, contender.worth)
        return marked


def _rotated(contender: Contender) -> tuple[AppliedRule, ...]:
    return (AppliedRule.ROTATED,) if contender.rotated else ()


class _Likeness:
    """Keeps who waits in the order of marginal relevance. Likeness is 1 within a category, else the items' tie."""

    def __init__(self, waiting: list[Contender], share: float, model: ItemModel) -> None:
        self._waiting = waiting
        self._share = share
        self._model = model
        self._index = {contender: index for index, contender in enumerate(waiting)}
        self._free = [True] * len(waiting)
        if share:
            worth = np.array([contender.worth for contender in waiting])
            self._worth = (worth - worth.min()) / (np.ptp(worth) or 1.0) if len(worth) else worth
            self._likest: NDArray[np.float64] = np.zeros(len(waiting))
            self._codes, self._categories = _codes(waiting)
            self._by_slot = {contender.slot: index for index, contender in enumerate(waiting)}

    def in_order(self) -> Iterator[Contender]:
        """Give who waits, best first."""
        if not self._share:
            return (contender for contender, free in zip(self._waiting, self._free, strict=True) if free)
        relevance = (1 - self._share) * self._worth - self._share * self._likest
        order = np.argsort(-relevance, kind="stable").tolist()
        return (self._waiting[index] for index in order if self._free[index])

    def take(self, contender: Contender) -> None:
        """Let a contender wait no longer, because it stands."""
        self._free[self._index[contender]] = False
        self.stands(contender)

    def stands(self, contender: Contender) -> None:
        """Take in that something stands, so that what is like it is worth less."""
        if not self._share:
            return
        category = contender.item.category if contender.item is not None else ""
        if category in self._categories:
            self._likest[self._codes == self._categories[category]] = 1.0
        if contender.slot < len(self._model.vocabulary):
            rows, ties = self._model.neighbors_of(contender.slot)
            for row, tie in zip(rows.tolist(), ties.tolist(), strict=True):
                index = self._by_slot.get(row)
                if index is not None and tie > self._likest[index]:
                    self._likest[index] = tie


def _codes(waiting: Sequence[Contender]) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Number the categories of those who wait, -1 for none."""
    categories: dict[str, int] = {}
    codes = np.full(len(waiting), -1, dtype=np.int64)
    for index, contender in enumerate(waiting):
        if contender.item is not None and contender.item.category:
            codes[index] = categories.setdefault(contender.item.category, len(categories))
    return codes, categories
