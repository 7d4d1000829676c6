"""From contenders to a slate: pinned places, the promoted share, limits by category, and maximal marginal relevance.

Maximal marginal relevance is that of Carbonell and Goldstein (SIGIR 1998): each place goes to what has the most of
its worth, weighed with 1 - d, less its likeness to what already stands, weighed with d.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from models.item_model import ItemModel
from models.policy import Policy
from service.decision.arbitration import Judged
from service.decision.exploration import Explorer
from service.decision.query import SlateQuery

_OUT = float("-inf")


class AppliedRule(IntEnum):
    """Names a rule that moved an offer. The numbers are those of ``dangol.v1.AppliedRule``; a test holds them so."""

    PINNED = 1
    PROMOTED = 2
    DIVERSIFIED = 3
    ROTATED = 4
    EXPLORED = 5


Place = tuple[int, tuple[AppliedRule, ...], float]
"""Is who stands, by index, the rules that moved them, and how probable that was where the slate explores, else 0."""


def arrange(judged: Judged, pinned: dict[int, int], slate: SlateQuery, model: ItemModel, seed: str = "") -> list[Place]:
    """Give at most as many contenders as the slate holds, in the order in which they stand.

    ``pinned`` (place from 0 within the slate → index) stand from the beginning; a pinned one moves up where nothing
    can stand before it. ``seed`` decides what the policy leaves to chance.
    """
    if not judged.contenders:
        return []
    policy = slate.placement.policy
    explorer = Explorer(policy.exploration, seed) if policy.exploration is not None else None
    arrangement = _Arrangement(judged, pinned, policy, slate.size, model, explorer)
    return arrangement.run()


class _Arrangement:
    """Fills one slate place by place."""

    def __init__(
        self,
        judged: Judged,
        pinned: dict[int, int],
        policy: Policy,
        size: int,
        model: ItemModel,
        explorer: Explorer | None,
    ) -> None:
        self._judged = judged
        self._pinned = pinned
        self._policy = policy
        self._size = size
        self._model = model
        self._explorer = explorer
        self._share = policy.diversity_percent / 100
        worths = judged.worths
        if self._share:
            lowest = min(worths)
            scale = (1 - self._share) / ((max(worths) - lowest) or 1.0)
            worths = [(worth - lowest) * scale for worth in worths]
        self._relevance = np.array(worths)
        self._likest: dict[int, float] = {}
        self._members = _members(judged) if self._share or policy.maximal_per_category else {}
        self._counts: dict[str, int] = {}
        self._owed = size * policy.promotion.percent // 100 if policy.promotion is not None else 0
        self._promoted = self._label_mask()
        for index in pinned.values():
            self._stands(index)

    def run(self) -> list[Place]:
        """Fill every place that can be filled."""
        places: list[Place] = []
        for place in range(self._size):
            index = self._pinned.get(place)
            if index is not None:
                places.append((index, (AppliedRule.PINNED,), 1.0 if self._explorer is not None else 0.0))
                continue
            found = self._best(self._size - place - self._pinned_after(place))
            if found is not None:
                places.append(found)
                self._stands(found[0])
        return self._marked(places)

    def _pinned_after(self, place: int) -> int:
        return sum(later > place for later in self._pinned) if self._pinned else 0

    def _label_mask(self) -> NDArray[np.bool_] | None:
        if self._policy.promotion is None:
            return None
        label, count = self._policy.promotion.label, len(self._judged.contenders)
        return np.array([self._judged.carries(index, label) for index in range(count)], dtype=bool)

    def _best(self, free: int) -> Place | None:
        """Give who takes one of ``free`` places; what is owed to the promoted is paid at the latest."""
        relevance = self._relevance
        rules: tuple[AppliedRule, ...] = ()
        best = int(relevance.argmax())
        if relevance[best] == _OUT:
            return None
        if self._promoted is not None and self._owed >= free:
            promoted = np.where(self._promoted, relevance, _OUT)
            first = int(promoted.argmax())
            if promoted[first] != _OUT:
                rules = () if first == best else (AppliedRule.PROMOTED,)
                relevance, best = promoted, first
        if self._explorer is None:
            return best, rules, 0.0
        chosen, probability, explored = self._explorer.choose(best, np.flatnonzero(relevance > _OUT))
        return chosen, (*rules, AppliedRule.EXPLORED) if explored else rules, probability

    def _stands(self, index: int) -> None:
        """Take in that somebody stands: they wait no longer, and what is like them is worth less."""
        self._relevance[index] = _OUT
        if self._promoted is not None and self._promoted[index]:
            self._owed -= 1
        category = self._judged.contenders[index][1].category
        members = self._members.get(category)
        if members is not None:
            count = self._counts[category] = self._counts.get(category, 0) + 1
            if count == self._policy.maximal_per_category:
                self._relevance[members] = _OUT
        if self._share:
            self._weigh_likeness(index, members or [])

    def _weigh_likeness(self, index: int, members: list[int]) -> None:
        """Lower what is like somebody who stands: all of their category, else as much as the items are tied."""
        for member in members:
            self._lower(member, 1.0)
        slot = self._judged.contenders[index][0]
        if slot < len(self._model.popularity):
            rows, ties = self._model.neighbors_of(slot)
            by_slot = self._judged.by_slot
            for place, row in enumerate(rows.tolist()):
                if row in by_slot:
                    self._lower(by_slot[row], float(ties[place]))

    def _lower(self, index: int, likeness: float) -> None:
        before = self._likest.get(index, 0.0)
        if likeness > before:
            self._likest[index] = likeness
            self._relevance[index] -= self._share * (likeness - before)

    def _marked(self, places: list[Place]) -> list[Place]:
        """Mark what sank, and what stands below something worth less because of the rules on likeness."""
        worths, rotated = self._judged.worths, self._judged.rotated
        spread = bool(self._policy.diversity_percent or self._policy.maximal_per_category)
        lowest, marked = float("inf"), []
        for index, rules, probability in places:
            moved = spread and not rules and worths[index] > lowest
            marked.append((index, _rules(rules, rotated=index in rotated, moved=moved), probability))
            if not rules:
                lowest = min(lowest, worths[index])
        return marked


def _rules(rules: tuple[AppliedRule, ...], *, rotated: bool, moved: bool) -> tuple[AppliedRule, ...]:
    if rotated:
        rules = (*rules, AppliedRule.ROTATED)
    return (*rules, AppliedRule.DIVERSIFIED) if moved else rules


def _members(judged: Judged) -> dict[str, list[int]]:
    """Give the indices of the contenders of each category; items without one have no likes."""
    members: dict[str, list[int]] = {}
    for index, (_, pairing, _, _) in enumerate(judged.contenders):
        category = pairing.category
        if category:
            if category in members:
                members[category].append(index)
            else:
                members[category] = [index]
    return members
