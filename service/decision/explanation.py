"""From what is really known of a customer to the reasons shown: no evidence, no "because"."""

from collections.abc import Iterable, Mapping, Sequence

from models.candidates import BOUGHT_FLAG, VIEWED_FLAG, Source
from models.item_model import EVERYONE
from service.decision.candidate_stream import CONTEXT_SOURCE, Ranked
from service.decision.history import History
from service.decision.query import Customer
from service.decision.reasons import (
    POPULAR,
    POPULAR_IN_SEGMENT,
    POPULAR_WITH_SIMILAR_CUSTOMERS,
    Reason,
    ReasonCode,
)
from service.decision.slots import Slots
from service.decision.snapshot import Snapshot

_MAXIMAL_EVIDENCE = 8  # of one reason: more says nothing more to a person

_REBUY = int(Source.REBUY)
_WITHOUT_EVIDENCE: Mapping[int, tuple[Reason, ...]] = {
    Source.COLLABORATIVE: POPULAR_WITH_SIMILAR_CUSTOMERS,
    Source.NEIGHBORS: POPULAR_WITH_SIMILAR_CUSTOMERS,
    Source.POPULAR: POPULAR,
    Source.SEGMENT: POPULAR_IN_SEGMENT,
}


def reason_of_list(
    slots: Slots, slot: int, kind: int, evidence_rows: Sequence[int], evidence: int
) -> tuple[Reason, ...]:
    """Give the strongest reason for a candidate of a list, alone; none when there is no evidence for any.

    ``kind`` is its source without BOUGHT_FLAG, ``evidence`` its place in the list's ``evidence_rows``.
    """
    if kind == _REBUY:
        return slots.bought_before[slot]
    if evidence < len(evidence_rows):  # NO_EVIDENCE is beyond any list
        packed = evidence_rows[evidence]
        return slots.viewed[packed & ~VIEWED_FLAG] if packed & VIEWED_FLAG else slots.bought[packed]
    return _WITHOUT_EVIDENCE.get(kind, ())


class Explainer:
    """Explains the items of one request."""

    def __init__(
        self, snapshot: Snapshot, customer: Customer, history: History, context_rows: Sequence[int], segment: str
    ) -> None:
        self._slots = slots = snapshot.slots
        self._ids = slots.ids
        self._items = snapshot.model.items
        self._history = history
        self._context_rows = context_rows
        self._segment = segment
        own = customer.candidates
        self._evidence = own.evidence_rows.tolist() if own is not None else []
        self._shared: dict[str, frozenset[int]] = {}

    def first(self, ranked: Ranked) -> tuple[Reason, ...]:
        """Give the strongest reason for an item, alone; none when there is no evidence for any."""
        slot, _, source, evidence = ranked
        kind = source & ~BOUGHT_FLAG
        if kind == CONTEXT_SOURCE:
            return self._because(ReasonCode.GOES_WITH_CONTEXT, self._tied_to(slot, self._context_rows))
        return reason_of_list(self._slots, slot, kind, self._evidence, evidence)

    def every(self, ranked: Ranked) -> tuple[Reason, ...]:
        """Give every reason for an item, the strongest first, each code once with all of its evidence."""
        slot, _, source, _ = ranked
        reasons = {reason.code: reason for reason in self.first(ranked)}
        if slot in self._history.bought or source & BOUGHT_FLAG:
            self._add(reasons, ReasonCode.BOUGHT_BEFORE, [slot])
        bought = [packed for packed in self._evidence if not packed & VIEWED_FLAG]
        viewed = [packed & ~VIEWED_FLAG for packed in self._evidence if packed & VIEWED_FLAG]
        self._add(reasons, ReasonCode.BOUGHT, self._tied_to(slot, [*self._history.bought, *bought]))
        self._add(reasons, ReasonCode.VIEWED, self._tied_to(slot, [*self._history.viewed, *viewed]))
        self._add(reasons, ReasonCode.GOES_WITH_CONTEXT, self._tied_to(slot, self._context_rows))
        if self._segment != EVERYONE and slot in self._shared_slots(self._segment):
            reasons.setdefault(ReasonCode.POPULAR_IN_SEGMENT, POPULAR_IN_SEGMENT[0])
        if slot in self._shared_slots(EVERYONE):
            reasons.setdefault(ReasonCode.POPULAR, POPULAR[0])
        return tuple(reasons.values())

    def _because(self, code: ReasonCode, rows: Sequence[int]) -> tuple[Reason, ...]:
        if not rows:
            return ()
        return (Reason(code, tuple(self._ids[row] for row in rows[:_MAXIMAL_EVIDENCE])),)

    def _add(self, reasons: dict[ReasonCode, Reason], code: ReasonCode, rows: Sequence[int]) -> None:
        known = reasons[code].evidence_item_ids if code in reasons else ()
        ids = dict.fromkeys((*known, *(self._ids[row] for row in rows)))
        if ids:
            reasons[code] = Reason(code, tuple(ids)[:_MAXIMAL_EVIDENCE])

    def _tied_to(self, slot: int, rows: Iterable[int]) -> list[int]:
        """Give those of the rows whose neighbors hold the item, in the order given, each once."""
        count = len(self._items.vocabulary)
        return [
            row
            for row in dict.fromkeys(rows)
            if row < count and row != slot and bool((self._items.neighbors_of(row)[0] == slot).any())
        ]

    def _shared_slots(self, name: str) -> frozenset[int]:
        if name not in self._shared:
            shared = self._items.shared_lists.get(name)
            self._shared[name] = frozenset(shared["row"].tolist()) if shared is not None else frozenset()
        return self._shared[name]
