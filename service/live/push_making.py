"""From a motive to the push that is made of it: whether, under which key, and when."""

from models.catalog import Catalog
from models.customers import CustomerRecord
from models.motives import Motive, Watched, motives_of
from models.offers import Placement
from models.pushes import Push, push_id_of
from models.response_hours import SendHours
from models.triggers import Trigger
from service.store.push_raising import Addressee


def may_push(trigger: Trigger, addressee: Addressee, record: CustomerRecord, now: float) -> bool:
    """Tell whether the customer agreed, none of the trigger's pushes waits and its pause is over."""
    if trigger.consent_category not in record.consented(frozenset(), trigger.channel):
        return False
    last = addressee.marks.last.get(trigger.trigger)
    since = now - trigger.delay - trigger.lifetime
    return (last is None or last.time + trigger.cooldown <= now) and not addressee.marks.waits(trigger.trigger, since)


def new_motive(trigger: Trigger, watched: Watched, addressee: Addressee, now: float) -> Motive | None:
    """Give the newest motive that nothing was ever pushed for, whichever of the customer's ids it was under."""
    known = addressee.marks.by_id
    for motive in motives_of(trigger, watched, now):
        key = motive.key_for(trigger)
        if not any(push_id_of(customer_id, key) in known for customer_id in addressee.customer_ids):
            return motive
    return None


def push_for(
    catalog: Catalog, trigger: Trigger, motive: Motive, addressee: Addressee, record: CustomerRecord, now: float
) -> Push:
    """Make the push: due at the hour at which the customer usually responds, never in quiet hours."""
    quiet = catalog.placements.get(trigger.placement, Placement(trigger.placement)).quiet_hours
    hours = SendHours.of(addressee.customer_id, addressee.profile.events, record, quiet, trigger)
    earliest = max(now, motive.start + trigger.delay)
    expire = min(motive.end, earliest + trigger.lifetime)
    return Push(
        key=motive.key_for(trigger),
        customer_id=addressee.customer_id,
        trigger=trigger.trigger,
        item_id=motive.item_id,
        offer_id=motive.offer_id,
        motive_time=motive.time,
        due_time=hours.send_time(earliest, expire),
        expire_time=expire,
    )
