"""The commonest answer at the least cost: one plain slate that the customer's own list fills.

It is what :func:`~service.decision.slate.decide` would say, without an object for each place, and whatever takes more
is left to that; a test holds the two together.
"""

from collections.abc import Iterator
from itertools import chain, islice

from models.candidates import BOUGHT_FLAG
from models.offers import Rebuys
from service.decision.candidate_stream import unpacked
from service.decision.explanation import reason_of_list
from service.decision.history import History, read_history, unwelcome_slots
from service.decision.pairing import Pairing
from service.decision.query import Customer, Query
from service.decision.reasons import Reason
from service.decision.snapshot import Snapshot
from service.decision.terms import TermsCheck, barred_offers

Place = tuple[Pairing, float, tuple[Reason, ...]]
"""Is an item with the offer made on it or alone, its score, and the strongest reason for it if there is one."""

_KIND = ~BOUGHT_FLAG


def is_page(query: Query) -> bool:
    """Tell whether a query asks for one slate, and for nothing but the order of the score."""
    return (
        len(query.slates) == 1
        and query.slates[0].treatment is None
        and not (query.explain or query.context_item_ids or query.trace_offer_ids)
        and query.slates[0].placement.policy.is_plain
    )


def fill_page(snapshot: Snapshot, query: Query, customer: Customer) -> list[Place] | None:
    """Fill the slate of a query that :func:`is_page`; None when it takes more than the customer's own list."""
    size = max(query.slates[0].size, 0)
    places = list(islice(_places(snapshot, query, customer), size))
    return places if len(places) == size else None


def _places(snapshot: Snapshot, query: Query, customer: Customer) -> Iterator[Place]:
    """Give what of the customer's own list may stand in the slate, best first; what is given is used up."""
    own, slots, placement = customer.candidates, snapshot.slots, query.slates[0].placement
    if own is None:
        return
    history = read_history(customer.profile, slots)
    used = _used(snapshot, query, customer, history)
    barred = barred_offers(query, history)
    view = snapshot.offers.view(placement.placement, query.channel, query.now, plain_items=placement.plain_items)
    terms: TermsCheck | None = None
    evidence_rows: list[int] = own.evidence_rows.tolist()
    for slot, score, source, evidence in unpacked(own.candidates):
        if slot in used:
            continue
        pairings = view[slot]
        if not pairings:
            continue
        found = pairings[0]
        if found.is_conditional or found.offer_id in barred:
            terms = terms or _terms(snapshot, query, customer, history, barred)
            suited = terms.first_of(chain(pairings, view.after(slot)), slot)
            if suited is None:
                continue
            found = suited
        used.add(slot)
        if found.offer_id:
            barred.add(found.offer_id)
        yield found, score, reason_of_list(slots, slot, source & _KIND, evidence_rows, evidence)


def _used(snapshot: Snapshot, query: Query, customer: Customer, history: History) -> set[int]:
    """Give the slots that may not stand in the slate."""
    used = history.dismissed_slots | snapshot.slots.find_all(query.excluded_item_ids)
    rebuys = query.slates[0].placement.rebuys
    if rebuys is not Rebuys.ALLOWED:
        used |= unwelcome_slots(rebuys, customer.candidates, history, snapshot.model.trained_until)
    return used


def _terms(snapshot: Snapshot, query: Query, customer: Customer, history: History, barred: set[str]) -> TermsCheck:
    """Check offers against what is barred so far, and will be."""
    terms = TermsCheck(snapshot, query, customer, history)
    terms.barred = barred
    terms.begin(query.slates[0].placement.placement)
    return terms
