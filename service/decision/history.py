"""What one customer did lately, seen from one snapshot: what is bought, viewed and dismissed."""

from dataclasses import dataclass, field

from models.events import CART, DISMISS, PURCHASE, VIEW
from models.profile import Profile
from service.decision.slots import Slots


@dataclass(slots=True)
class History:
    """Holds live facts by slot. Times are seconds since 1970; dicts keep the newest event first."""

    bought: dict[int, float] = field(default_factory=dict)
    viewed: dict[int, float] = field(default_factory=dict)
    dismissed_slots: set[int] = field(default_factory=set)
    dismissed_offer_ids: set[str] = field(default_factory=set)

    def bought_after(self, instant: float) -> set[int]:
        """Give the slots of what was bought after ``instant``."""
        return {slot for slot, time in self.bought.items() if time > instant}


def read_history(profile: Profile, slots: Slots) -> History:
    """Sort a profile's events (newest first) by what they say. Items that nobody ever named are passed over."""
    history = History()
    for event in profile.events:
        kind = event.event_type
        if kind == DISMISS and event.offer_id:
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
