"""What a contender for a slate is worth: the model's score, its priority, or propensity, context, value and lever.

The product and its two sums are those of Pega's arbitration: context and lever are 1 + the sum of weights / 100.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.offers import Item, Offer, Placement
from models.policy import DEFAULT_VALUE, Factor, Policy, ScoreMode
from service.decision.candidate_stream import Ranked
from service.decision.history import untaken_impressions
from service.decision.indexed_offer import IndexedOffer
from service.decision.query import Customer, Query
from service.decision.snapshot import Snapshot


class Factors(NamedTuple):
    """Holds what the score is the product of; a factor that the policy ignores is 1."""

    propensity: float
    context: float
    value: float
    lever: float

    @property
    def product(self) -> float:
        """Multiply."""
        return self.propensity * self.context * self.value * self.lever


@dataclass(slots=True, eq=False)
class Contender:
    """Is an item, with the offer made on it or None, that may stand in a slate.

    ``ranked`` is None for what only a campaign names. ``worth`` decides the order, ``score`` is what is answered.
    """

    slot: int
    offer: Offer | None
    item: Item | None
    ranked: Ranked | None
    score: float
    worth: float = 0.0
    factors: Factors | None = None
    rotated: bool = False

    def carries(self, label: str) -> bool:
        """Tell whether offer or item carries a label."""
        return (self.offer is not None and label in self.offer.labels) or (
            self.item is not None and label in self.item.labels
        )


class Arbiter:
    """Says what contenders for one slate are worth."""

    def __init__(self, snapshot: Snapshot, query: Query, customer: Customer, placement: Placement) -> None:
        policy = placement.policy
        self._policy = policy
        self._mode = policy.score_mode
        self._counts = {
            factor: factor not in policy.ignored_factors and policy.score_mode is ScoreMode.ARBITRATED
            for factor in Factor
        }
        self._context_base, self._context_labels = _context_of(policy, snapshot, query)
        self._lever_labels = _summed((lever.label, lever.percent) for lever in policy.levers)
        rotation = policy.rotation
        self._keep = 1.0 - rotation.percent / 100 if rotation is not None else 1.0
        self._untaken = untaken_impressions(customer.profile, query.now - rotation.seconds) if rotation else {}
        self._slots = snapshot.slots

    def judge(self, contenders: Sequence[Contender]) -> None:
        """Set score, worth and factors of all contenders for a slate."""
        if self._mode is ScoreMode.ARBITRATED:
            for contender in contenders:
                contender.factors = self._factors(contender)
                contender.score = contender.factors.product
        if self._untaken:
            for contender in contenders:
                self._rotate(contender)
        for contender in contenders:
            contender.worth = contender.score
        if self._mode is ScoreMode.PRIORITY:
            _put_priority_first(contenders)

    def _factors(self, contender: Contender) -> Factors:
        counts = self._counts
        return Factors(
            max(contender.score, 0.0) if counts[Factor.PROPENSITY] else 1.0,
            self._weight(contender, self._context_base, self._context_labels) if counts[Factor.CONTEXT] else 1.0,
            self._value(contender.offer) if counts[Factor.VALUE] else 1.0,
            self._weight(contender, 0.0, self._lever_labels) if counts[Factor.LEVER] else 1.0,
        )

    def _value(self, offer: Offer | None) -> float:
        if offer is None or offer.value is None:
            return self._policy.default_value / DEFAULT_VALUE
        return offer.value.minor_units / DEFAULT_VALUE

    def _weight(self, contender: Contender, base: float, labels: dict[str, float]) -> float:
        percent = base
        if labels:
            carried = dict.fromkeys((*_labels_of(contender.offer), *_labels_of(contender.item)))
            percent += sum(labels.get(label, 0.0) for label in carried)
        return max(0.0, 1.0 + percent / 100)

    def _rotate(self, contender: Contender) -> None:
        seen = self._untaken.get(("", self._slots.ids[contender.slot]), 0)
        if contender.offer is not None:
            seen = max(seen, self._untaken.get((contender.offer.offer_id, ""), 0))
        if seen:
            lost = 1.0 - self._keep**seen
            contender.score -= abs(contender.score) * lost
            contender.rotated = True


def contender_for(
    slot: int, indexed: IndexedOffer | None, item: Item | None, ranked: Ranked | None, score: float
) -> Contender:
    """Make a contender of an item and the offer made on it."""
    return Contender(slot, indexed.offer if indexed is not None else None, item, ranked, score)


def _labels_of(record: Offer | Item | None) -> tuple[str, ...]:
    return record.labels if record is not None else ()


def _put_priority_first(contenders: Sequence[Contender]) -> None:
    """Let the priority decide and the score only within one: it adds less than 1."""
    scores = [contender.score for contender in contenders]
    lowest, width = min(scores, default=0.0), (max(scores, default=0.0) - min(scores, default=0.0)) or 1.0
    for contender in contenders:
        priority = contender.offer.priority if contender.offer is not None else 0
        contender.worth = priority + (contender.score - lowest) / width * 0.999


def _context_of(policy: Policy, snapshot: Snapshot, query: Query) -> tuple[float, dict[str, float]]:
    """Give what the request adds for everything, and what it adds by label, in per cent."""
    items = snapshot.catalog.items
    categories = {items[item_id].category for item_id in query.context_item_ids if item_id in items}
    active = [
        weight
        for weight in policy.context_weights
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
