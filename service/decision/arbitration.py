"""What contenders for a slate are worth: the model's score, priority, or propensity, context, value and lever.

The product and its two sums are those of Pega's arbitration: context and lever are 1 + the sum of weights / 100. The
propensity is the probability that the model measured behind a score, or the score itself where it measured none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.offers import Placement
from models.policy import DEFAULT_VALUE, Factor, ScoreMode
from service.decision.candidate_stream import Ranked
from service.decision.history import untaken_impressions
from service.decision.pairing import Pairing
from service.decision.query import Customer, Query
from service.decision.snapshot import Snapshot

_PRIORITY_SHARE = 0.999  # of one step of priority that scores may make a difference of


class Factors(NamedTuple):
    """Holds what the score is the product of; a factor that the policy ignores is 1."""

    propensity: float
    context: float
    value: float
    lever: float


Contender = tuple[int, Pairing, Ranked | None, float]
"""Is what may stand in a slate: slot, the item there with the offer made on it or alone, the candidate, the score.

The candidate is None for what only a campaign or a pin names. A bare tuple, as a hundred are made for each answer.
"""


@dataclass(slots=True)
class Judged:
    """Holds contenders with what they are worth, in columns: ``scores`` are answered, ``worths`` decide the order.

    ``by_slot`` finds a contender by item where somebody needs to.
    """

    contenders: Sequence[Contender]
    by_slot: dict[int, int]
    scores: list[float]
    worths: list[float]
    rotated: set[int]

    def carries(self, index: int, label: str) -> bool:
        """Tell whether offer or item carries a label."""
        return label in self.contenders[index][1].labels


class Arbiter:
    """Says what contenders for one slate are worth."""

    def __init__(self, snapshot: Snapshot, query: Query, customer: Customer, placement: Placement) -> None:
        self._snapshot = snapshot
        self._policy = policy = placement.policy
        self._arbitrates = policy.score_mode is ScoreMode.ARBITRATED
        ignored = policy.ignored_factors
        self._propensity = _ignored
        if Factor.PROPENSITY not in ignored:
            measured = snapshot.model.items.propensity
            self._propensity = _score_itself if measured is None else measured.of
        self._counts_value = Factor.VALUE not in ignored
        self._unvalued = policy.default_value / DEFAULT_VALUE if self._counts_value else 1.0
        self._levers = {} if Factor.LEVER in ignored else _summed((one.label, one.percent) for one in policy.levers)
        self._context_base = 0.0
        self._context_labels: dict[str, float] = {}
        if self._arbitrates and Factor.CONTEXT not in ignored:
            self._context_base, self._context_labels = _context_of(placement, snapshot, query)
        self._weights: dict[tuple[str, ...], tuple[float, float]] = {}
        self._untaken: Mapping[tuple[str, str], int] = {}
        if policy.rotation is not None:
            self._untaken = untaken_impressions(customer.profile, query.now - policy.rotation.seconds)

    def judge(self, contenders: Sequence[Contender]) -> Judged:
        """Say what the contenders for a slate are worth."""
        by_slot = {}
        if self._untaken or self._policy.diversity_percent:
            by_slot = {contender[0]: index for index, contender in enumerate(contenders)}
        scores = self._products(contenders) if self._arbitrates else [one[3] for one in contenders]
        rotated = self._rotate(contenders, by_slot, scores) if self._untaken else set()
        worths = scores
        if self._policy.score_mode is ScoreMode.PRIORITY:
            worths = _priority_first(contenders, scores)
        return Judged(contenders, by_slot, scores, worths, rotated)

    def factors(self, contender: Contender) -> Factors | None:
        """Give the factors of a contender; None where the policy does not arbitrate."""
        if not self._arbitrates:
            return None
        _, pairing, _, score = contender
        context, lever = self._weights_of(pairing.labels)
        value = pairing.value if self._counts_value else None
        return Factors(self._propensity(score), context, self._unvalued if value is None else value, lever)

    def _products(self, contenders: Sequence[Contender]) -> list[float]:
        propensity, known, weights_of = self._propensity, self._weights, self._weights_of
        counts_value, unvalued = self._counts_value, self._unvalued
        products = []
        for _, pairing, _, score in contenders:
            labels, value = pairing.labels, pairing.value
            context, lever = known.get(labels) or weights_of(labels)
            worth = value if counts_value and value is not None else unvalued
            products.append(propensity(score) * (context * worth * lever))
        return products

    def _weights_of(self, labels: tuple[str, ...]) -> tuple[float, float]:
        """Give context and lever; the same labels always weigh the same."""
        weights = self._weights.get(labels)
        if weights is None:
            context = self._context_base + sum(self._context_labels.get(label, 0.0) for label in labels)
            lever = sum(self._levers.get(label, 0.0) for label in labels)
            weights = self._weights[labels] = (max(0.0, 1.0 + context / 100), max(0.0, 1.0 + lever / 100))
        return weights

    def _rotate(self, contenders: Sequence[Contender], by_slot: dict[int, int], scores: list[float]) -> set[int]:
        """Lower the scores of what was shown and not taken, and give who that is."""
        rotation, find = self._policy.rotation, self._snapshot.slots.find
        keep = 1.0 - rotation.percent / 100 if rotation is not None else 1.0
        by_offer = {pairing.offer_id: index for index, (_, pairing, _, _) in enumerate(contenders) if pairing.offer_id}
        seen: dict[int, int] = {}
        for (offer_id, item_id), count in self._untaken.items():
            slot = None if offer_id else find(item_id)
            index = by_offer.get(offer_id) if slot is None else by_slot.get(slot)
            if index is not None:
                seen[index] = max(seen.get(index, 0), count)
        for index, count in seen.items():
            scores[index] -= abs(scores[index]) * (1.0 - keep**count)
        return set(seen)


def _score_itself(score: float) -> float:
    """Stand for propensities where the model has none: better than nothing, as higher scores mean more."""
    return max(score, 0.0)


def _ignored(score: float) -> float:
    del score
    return 1.0


def _priority_first(contenders: Sequence[Contender], scores: Sequence[float]) -> list[float]:
    """Let the priority decide and the score only within one: it adds less than 1."""
    lowest = min(scores, default=0.0)
    width = (max(scores, default=0.0) - lowest) or 1.0
    return [
        pairing.priority + (score - lowest) / width * _PRIORITY_SHARE
        for (_, pairing, _, _), score in zip(contenders, scores, strict=True)
    ]


def _context_of(placement: Placement, snapshot: Snapshot, query: Query) -> tuple[float, dict[str, float]]:
    """Give what the request adds for everything, and what it adds by label, in per cent."""
    items = snapshot.catalog.items
    categories = {items[item_id].category for item_id in query.context_item_ids if item_id in items}
    active = [
        weight
        for weight in placement.policy.context_weights
        if (not weight.channel or weight.channel == query.channel)
        and (not weight.segment or weight.segment == query.segment)
        and (not weight.context_category or weight.context_category in categories)
    ]
    base = float(sum(weight.percent for weight in active if not weight.label))
    return base, _summed((weight.label, weight.percent) for weight in active if weight.label)


def _summed(weights: Iterable[tuple[str, float]]) -> dict[str, float]:
    summed: dict[str, float] = {}
    for label, percent in weights:
        summed[label] = summed.get(label, 0.0) + percent
    return summed
