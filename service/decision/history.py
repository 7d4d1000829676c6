"""What one customer did lately, seen from one snapshot: what is bought, viewed and dismissed."""

from dataclasses import dataclass, field
from datetime import datetime

from models.candidates import BOUGHT_FLAG, VIEWED_FLAG, CandidateList
from models.events import CART, CLICK, DISMISS, IMPRESSION, PURCHASE, REDEEM, VIEW
from models.offers import Rebuys
from models.profile import EMPTY_PROFILE, Profile
from service.decision.slots import Slots

_TAKING = frozenset((CLICK, CART, PURCHASE, REDEEM))


@dataclass(slots=True)
class History:
    """Holds live facts by slot; never changed once it is read. Times by slot are seconds since 1970, the newest first.

    ``offer_times`` holds the newest event of each type on each offer, by offer id and event type.
    """

    bought: dict[int, float] = field(default_factory=dict)
    viewed: dict[int, float] = field(default_factory=dict)
    dismissed_slots: set[int] = field(default_factory=set)
    dismissed_offer_ids: set[str] = field(default_factory=set)
    offer_times: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def bought_after(self, instant: float) -> set[int]:
        """Give the slots of what was bought after ``instant``."""
        return {slot for slot, time in self.bought.items() if time > instant}


NO_HISTORY = History()
"""Is that of somebody who did nothing lately."""


def read_history(profile: Profile, slots: Slots) -> History:
    """Sort a profile's events (newest first) by what they say. Items that nobody ever named are passed over."""
    return NO_HISTORY if profile is EMPTY_PROFILE else _sorted(profile, slots)


def _sorted(profile: Profile, slots: Slots) -> History:
    history = History()
    for event in profile.events:
        kind = event.event_type
        if event.offer_id:
            history.offer_times.setdefault((event.offer_id, kind), event.event_time)
            if kind == DISMISS:
                history.dismissed_offer_ids.add(event.offer_id)
        slot = slots.find(event.item_id)
        if slot is None:
            continue
        if kind == PURCHASE:
            history.bought.setdefault(slot, event.event_time.timestamp())
        elif kind in (VIEW, CART):
            history.viewed.setdefault(slot, event.event_time.timestamp())
        elif kind == DISMISS:
            history.dismissed_slots.add(slot)
    return history


def unwelcome_slots(rebuys: Rebuys, own: CandidateList | None, history: History, trained_until: float) -> set[int]:
    """Give the slots that a rule on rebuys keeps out. ``trained_until`` (seconds since 1970) is the model's."""
    if rebuys is Rebuys.ALLOWED:
        return set()
    if rebuys is Rebuys.LATER:
        return history.bought_after(trained_until)
    blocked = set(history.bought)
    if own is not None:
        blocked.update(packed for packed in own.evidence_rows.tolist() if not packed & VIEWED_FLAG)
        bought = (own.candidates["source"] & BOUGHT_FLAG) != 0
        blocked.update(own.candidates["row"][bought].tolist())
    return blocked


def untaken_impressions(profile: Profile, since: float) -> dict[tuple[str, str], int]:
    """Count the impressions after ``since`` that nothing came of, by (offer id, "") and by ("", item id)."""
    taken: set[tuple[str, str]] = {("", "")}
    counts: dict[tuple[str, str], int] = {}
    for event in profile.events:
        kind = event.event_type
        if kind in _TAKING:
            taken.add((event.offer_id, ""))
            taken.add(("", event.item_id))
        elif kind == IMPRESSION and event.event_time.timestamp() > since:
            for key in ((event.offer_id, ""), ("", event.item_id)):
                if key not in taken:
                    counts[key] = counts.get(key, 0) + 1
    return counts
