"""What a push offers: the best that may be shown on what it is about, decided by the same terms as every answer."""

from itertools import chain

from models.pushes import Push
from service.decision.pairing import Pairing
from service.decision.query import Customer, Query
from service.decision.reasons import CAMPAIGN
from service.decision.slate import Choice, Decision
from service.decision.snapshot import Snapshot


def choose(snapshot: Snapshot, query: Query, customer: Customer, push: Push) -> Choice | None:
    """Give what a push about an item or an offer shows now; None when nothing of it may be shown.

    The query asks for one slate. A push about an offer shows that offer or nothing; one about an item alone the best
    offer on it, else the plain item where the placement allows that.
    """
    decision = Decision(snapshot, query, customer)
    decision.terms.begin(query.slates[0].placement.placement)
    if push.item_id:
        return _on_item(snapshot, query, decision, push)
    return _of_offer(snapshot, query, decision, push.offer_id)


def _on_item(snapshot: Snapshot, query: Query, decision: Decision, push: Push) -> Choice | None:
    placement = query.slates[0].placement
    slot = snapshot.slots.find(push.item_id)
    if slot is None or not decision.is_free(slot, decision.unwelcome(placement.rebuys)):
        return None
    plain = placement.plain_items and not push.offer_id
    view = snapshot.offers.view(placement.placement, query.channel, query.now, plain_items=plain)
    for pairing in chain(view[slot], view.after(slot)):
        if push.offer_id in ("", pairing.offer_id) and _lets(decision, pairing, slot):
            # Why is told by what the push is about: no list led to the item.
            return Choice(pairing, 0.0, ())
    return None


def _of_offer(snapshot: Snapshot, query: Query, decision: Decision, offer_id: str) -> Choice | None:
    placement = query.slates[0].placement
    indexed = snapshot.offers.get(offer_id)
    view = snapshot.offers.view(placement.placement, query.channel, query.now, plain_items=False)
    if indexed is None or not view.admits(indexed) or not decision.terms.lets(indexed):
        return None
    slot = decision.free_slot(indexed, decision.unwelcome(placement.rebuys))
    return None if slot is None else Choice(decision.pair(slot, indexed), 0.0, CAMPAIGN)


def _lets(decision: Decision, pairing: Pairing, slot: int) -> bool:
    indexed = pairing.indexed
    return indexed is None or (decision.terms.lets(indexed) and decision.terms.fits(indexed, slot))
