"""Makes pushes: of customers of whom something was heard, and of all of them as time and catalogue go on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import time

from models.catalog import EMPTY_CATALOG, Catalog
from models.customers import CustomerRecord
from models.motives import Watched, interests
from models.next_purchase import next_purchase_time
from models.offered_items import OfferedItems
from models.pushes import Push
from models.triggers import Trigger, TriggerKind, TriggerStatus
from service.live.measures import Measures
from service.live.push_making import may_push, new_motive, push_for
from service.store.catalog_follower import CatalogFollower
from service.store.push_raising import Addressee, PushRaising

CHUNK = 64
"""Customers that are read at once."""
_REMEMBERED_RETURNS = 60 * 24 * 3_600  # seconds, as long as an event may count


@dataclass(frozen=True, slots=True)
class _Rules:
    """Is what the catalogue says that concerns triggers, the most important trigger first."""

    catalog: Catalog = EMPTY_CATALOG
    offered: OfferedItems = field(default_factory=lambda: OfferedItems((), {}))
    triggers: Sequence[Trigger] = ()

    @property
    def watches_stock(self) -> bool:
        """Tell whether it matters which items the shop lacks."""
        return any(trigger.kind is TriggerKind.BACK_IN_STOCK for trigger in self.triggers)


class Raiser:
    """Makes pushes in one thread. Failures of Redis are UnavailableError throughout; nothing is made twice."""

    def __init__(
        self,
        store: PushRaising,
        catalogs: CatalogFollower,
        measures: Measures,
        worker: str,
        interval: float,
        now: Callable[[], float] = time,
    ) -> None:
        """``interval`` is the seconds between two walks over all customers, ``now`` gives seconds since 1970."""
        self._store = store
        self._catalogs = catalogs
        self._measures = measures
        self._interval = interval
        self._now = now
        self._lease = store.lease(worker)
        self._rules = _Rules()
        self._returns: Mapping[str, float] = {}
        self._walk: Iterator[list[str]] | None = None
        self._walk_time = float("-inf")

    def consider(self, customer_ids: Sequence[str]) -> None:
        """Make the pushes that there is reason for; without active triggers Redis is not asked for customers."""
        rules = self._follow()
        if not rules.triggers:
            return
        for start in range(0, len(customer_ids), CHUNK):
            self._consider(rules, self._store.read(customer_ids[start : start + CHUNK]))

    def step(self) -> bool:
        """Do one step of a walk over all customers, which one worker does; tell whether there is more."""
        if not self._lease.take():
            self._walk = None
            return False
        if self._walk is None:
            self._walk = self._begun()
        page = next(self._walk, None) if self._walk is not None else None
        if page is None:
            self._walk = None
            return False
        self.consider(page)
        return True

    def _begun(self) -> Iterator[list[str]] | None:
        """Begin a walk when it is time and there is something to walk for, and look which items came back."""
        now = self._now()
        if now < self._walk_time + self._interval:
            return None
        self._walk_time = now
        self._store.forget_overdue(now)
        self._measures.pushes_waiting(self._store.waiting())
        rules = self._follow()
        if not rules.triggers:
            return None
        self._returns = self._look_for_returns(rules, now) if rules.watches_stock else {}
        return self._store.profiled()

    def _look_for_returns(self, rules: _Rules, now: float) -> dict[str, float]:
        missed = self._store.missed()
        changed: dict[str, float | None] = {}
        for item_id, came_back in missed.items():
            if rules.offered.has(item_id) != bool(came_back):
                changed[item_id] = 0.0 if came_back else now
            elif came_back and came_back < now - _REMEMBERED_RETURNS:
                changed[item_id] = None
        self._store.note_missed(changed)
        return {item_id: time for item_id, time in (missed | changed).items() if time}

    def _follow(self) -> _Rules:
        catalog = self._catalogs.current()
        if catalog is not self._rules.catalog:
            active = [one for one in catalog.triggers.values() if one.status is TriggerStatus.ACTIVE]
            active.sort(key=lambda one: (-one.priority, one.trigger))
            self._rules = _Rules(catalog, OfferedItems(catalog.offers.values(), catalog.items), active)
        return self._rules

    def _consider(self, rules: _Rules, addressees: Sequence[Addressee]) -> None:
        now = self._now()
        if rules.watches_stock:
            since = now - _REMEMBERED_RETURNS
            looked_at = {item_id for one in addressees for item_id in interests(one.profile.events, since)}
            self._store.miss(sorted(item_id for item_id in looked_at if not rules.offered.has(item_id)))
        pushes = {
            one.customer_id: self._pushes_for(rules, one, one.record, now)
            for one in addressees
            if one.record is not None
        }
        due = {customer_id: own for customer_id, own in pushes.items() if own}
        if due:
            self._measures.raised(self._store.add(due, now))

    def _pushes_for(self, rules: _Rules, addressee: Addressee, record: CustomerRecord, now: float) -> list[Push]:
        events = addressee.profile.events
        watched = Watched(
            events,
            addressee.customer_ids,
            rules.offered,
            rules.catalog.audiences,
            self._returns,
            next_purchase_time(events),
        )
        return [
            push_for(rules.catalog, trigger, motive, addressee, record, now)
            for trigger in rules.triggers
            if may_push(trigger, addressee, record, now)
            and (motive := new_motive(trigger, watched, addressee, now)) is not None
        ]
