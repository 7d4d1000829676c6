"""Items in order without offers: the caller's own for a customer, and those most alike to one item."""

from collections.abc import Sequence
from typing import NamedTuple

from models.candidates import BOUGHT_FLAG, VIEWED_FLAG
from models.item_model import EVERYONE
from service.decision.candidate_stream import Ranked, stream_candidates
from service.decision.explanation import Explainer
from service.decision.history import History, read_history
from service.decision.query import Customer
from service.decision.reasons import POPULAR, Reason, ReasonCode
from service.decision.snapshot import Snapshot

_LISTED, _TIED, _POPULAR, _UNKNOWN = 3.0, 2.0, 1.0, 0.0
"""What is known of an item decides before how much: each kind has a band of scores of its own, one wide."""


class RankedChoice(NamedTuple):
    """Is one item with its score and why it stands there."""

    item_id: str
    score: float
    reasons: tuple[Reason, ...]


def rank_items(
    snapshot: Snapshot, customer: Customer, item_ids: Sequence[str], segment: str = EVERYONE
) -> list[RankedChoice]:
    """Rank the caller's items (none twice) for a customer; each comes back once.

    First what the customer's list holds (the segment's or everyone's for an unknown customer), by its score; then
    what is alike to items bought or viewed; then by popularity; then what nothing is known of, in the order given.
    """
    ranker = _Ranker(snapshot, customer, segment)
    choices = [ranker.place(item_id) for item_id in item_ids]
    return sorted(choices, key=lambda choice: -choice.score)


def similar_items(snapshot: Snapshot, item_id: str, size: int) -> list[RankedChoice]:
    """List the items most alike to one, best first, that the shop still has; none for an item unknown to the model."""
    row = snapshot.slots.vocabulary.row_of(item_id)
    if row is None:
        return []
    reasons = (Reason(ReasonCode.GOES_WITH_CONTEXT, (item_id,)),)
    rows, scores = snapshot.model.items.neighbors_of(row)
    shown = (
        RankedChoice(snapshot.slots.id_of(neighbor), score, reasons)
        for neighbor, score in zip(rows.tolist(), scores.tolist(), strict=True)
        if snapshot.shows(neighbor)
    )
    return [choice for choice, _ in zip(shown, range(size), strict=False)]


class _Ranker:
    """Places items for one customer."""

    def __init__(self, snapshot: Snapshot, customer: Customer, segment: str) -> None:
        self._snapshot = snapshot
        history = read_history(customer.profile, snapshot.slots)
        self._explainer = Explainer(snapshot, customer, history, (), segment)
        self._listed = _listed(snapshot, customer, segment)
        self._ties = _ties(snapshot, _anchors(customer, history))

    def place(self, item_id: str) -> RankedChoice:
        """Give an item its score and reasons."""
        slot = self._snapshot.slots.find(item_id)
        if slot is None:
            return RankedChoice(item_id, _UNKNOWN, ())
        if slot in self._listed:
            ranked, share = self._listed[slot]
            return RankedChoice(item_id, _LISTED + share, self._explainer.first(ranked))
        if slot in self._ties:
            strength, code, anchor = self._ties[slot]
            reason = Reason(code, (self._snapshot.slots.id_of(anchor),))
            return RankedChoice(item_id, _TIED + strength, (reason,))
        popularity = self._snapshot.model.items.popularity
        if slot < len(popularity) and popularity[slot] > 0:
            return RankedChoice(item_id, _POPULAR + float(popularity[slot]), POPULAR)
        return RankedChoice(item_id, _UNKNOWN, ())


def _listed(snapshot: Snapshot, customer: Customer, segment: str) -> dict[int, tuple[Ranked, float]]:
    """Give the candidates of the list that serves, each with its share of the best score, 0 … 1."""
    items = snapshot.model.items
    own = customer.candidates
    if own is not None and len(own.candidates):
        ranked: list[Ranked] = own.candidates.tolist()
    else:
        ranked = list(stream_candidates(None, items, segment, {}))
    if not ranked:
        return {}
    best, worst = ranked[0][1], min(0.0, ranked[-1][1])
    width = (best - worst) or 1.0
    listed: dict[int, tuple[Ranked, float]] = {}
    for candidate in ranked:
        listed.setdefault(candidate[0], (candidate, (candidate[1] - worst) / width))
    return listed


def _anchors(customer: Customer, history: History) -> dict[int, ReasonCode]:
    """Give the items that the customer is known to have bought or viewed, the latest first."""
    anchors = dict.fromkeys(history.bought, ReasonCode.BOUGHT)
    own = customer.candidates
    if own is not None:
        packed_rows = own.evidence_rows.tolist()
        bought = own.candidates["row"][(own.candidates["source"] & BOUGHT_FLAG) != 0].tolist()
        for row in (*bought, *(packed for packed in packed_rows if not packed & VIEWED_FLAG)):
            anchors.setdefault(row, ReasonCode.BOUGHT)
        for packed in packed_rows:
            anchors.setdefault(packed & ~VIEWED_FLAG, ReasonCode.VIEWED)
    for slot in history.viewed:
        anchors.setdefault(slot, ReasonCode.VIEWED)
    return anchors


def _ties(snapshot: Snapshot, anchors: dict[int, ReasonCode]) -> dict[int, tuple[float, ReasonCode, int]]:
    """Give the items alike to an anchor: the strongest tie (0 … 1), its kind and the anchor."""
    items = snapshot.model.items
    count = len(items.vocabulary)
    ties: dict[int, tuple[float, ReasonCode, int]] = {}
    for anchor, code in anchors.items():
        if anchor >= count:
            continue
        rows, strengths = items.neighbors_of(anchor)
        for row, strength in zip(rows.tolist(), strengths.tolist(), strict=True):
            if row not in ties or strength > ties[row][0]:
                ties[row] = (strength, code, anchor)
    return ties
