"""Watches a simulated push system: what it sends is held against the whole truth of the week, by rules of its own."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from benchmarks.harness.push_script import Act, Erased, Linked, Said
from dangol.v1.catalog_pb2 import TriggerKind
from dangol.v1.push_service_pb2 import LeasedPush
from models.catalog import EMPTY_CATALOG, Catalog, CatalogChange
from models.events import CART, PURCHASE, SEARCH, VIEW, Event
from models.offers import OfferStatus
from models.triggers import TriggerStatus

_QUIET = (21 * 60, 8 * 60)
_SPACING = 12 * 3_600
_LEASE = 3_600  # at most between the grant of a push and its being sent


@dataclass(slots=True)
class Person:
    """Is one customer as they really are, under all of their ids."""

    granted: bool = False
    time_zone: str = ""
    erased: bool = False
    last: dict[tuple[str, str], float] = field(default_factory=dict)
    sent: dict[tuple[str, ...], str] = field(default_factory=dict)
    sent_time: float = float("-inf")

    def last_time(self, kinds: tuple[str, ...], item: str = "") -> float:
        """Give when the last event of these types was, on an item, or on whatever."""
        return max((self.last.get((kind, item), float("-inf")) for kind in kinds), default=float("-inf"))


class Oracle:
    """Knows everything that happened, and counts what was sent that should not have been."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.catalog: Catalog = EMPTY_CATALOG
        self.sent: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.hours: Counter[int] = Counter()

    def person(self, customer_id: str) -> Person:
        """Give who bears an id."""
        return self.people.setdefault(customer_id, Person())

    def take(self, act: Act) -> None:
        """Take note of what happened."""
        match act:
            case CatalogChange():
                self.catalog = self.catalog.apply(act)
            case Said(customer_id, granted, time_zone):
                person = self.person(customer_id)
                person.granted, person.time_zone = granted, time_zone
            case Linked(customer_id, alias_id):
                self._join(self.person(customer_id), self.person(alias_id))
            case Erased(customer_id):
                self.person(customer_id).erased = True
            case Event():
                self._note(self.person(act.customer_id), act)

    def send(self, push: LeasedPush, time: float) -> None:
        """Take note that a push was sent, and find what is wrong with that."""
        person = self.person(push.customer_id)
        self.sent[push.trigger] += 1
        for problem in self._problems(person, push, time):
            self.wrong[problem] += 1
        person.sent_time = time
        clock = datetime.fromtimestamp(time, ZoneInfo(person.time_zone or "UTC"))
        self.hours[clock.hour] += 1

    def _problems(self, person: Person, push: LeasedPush, time: float) -> list[str]:
        clock = datetime.fromtimestamp(time, ZoneInfo(person.time_zone or "UTC"))
        minute = clock.hour * 60 + clock.minute
        trigger = self.catalog.triggers.get(push.trigger)
        found = {
            "duplicate": self._is_duplicate(person, push),
            "quiet": minute >= _QUIET[0] or minute < _QUIET[1],
            "opted-out": not person.granted or person.erased,
            "bought": _is_bought(person, push),
            "offer": not self._is_valid(push, time),
            "trigger": trigger is None or trigger.status is not TriggerStatus.ACTIVE,
            "spacing": time - person.sent_time < _SPACING - _LEASE,
            "late": time > push.lease_end_time.ToNanoseconds() / 1e9,
        }
        return [name for name, is_so in found.items() if is_so]

    def _is_duplicate(self, person: Person, push: LeasedPush) -> bool:
        about = [push.trigger, push.motive_item_id]
        if push.kind in (TriggerKind.TRIGGER_KIND_DISCOUNT, TriggerKind.TRIGGER_KIND_OFFER_ENDING):
            about.append(push.offer.offer_id)
        else:
            about.append(str(push.motive_time.ToNanoseconds()))
        if push.kind == TriggerKind.TRIGGER_KIND_OFFER_ENDING:
            about[1] = ""
        key = tuple(about)
        if key in person.sent:
            return True
        person.sent[key] = push.push_id
        return False

    def _is_valid(self, push: LeasedPush, time: float) -> bool:
        if push.offer.item_id not in self.catalog.items:
            return False
        if not push.offer.offer_id:
            return True
        offer = self.catalog.offers.get(push.offer.offer_id)
        return (
            offer is not None
            and offer.status is OfferStatus.LIVE
            and (offer.start_time is None or offer.start_time.timestamp() <= time)
            and (offer.end_time is None or time < offer.end_time.timestamp())
        )

    def _note(self, person: Person, event: Event) -> None:
        time = event.event_time.timestamp()
        for item in (event.item_id, ""):
            key = (event.event_type, item)
            person.last[key] = max(time, person.last.get(key, time))

    def _join(self, one: Person, other: Person) -> None:
        for key, time in other.last.items():
            one.last[key] = max(time, one.last.get(key, time))
        one.sent |= other.sent
        one.sent_time = max(one.sent_time, other.sent_time)
        for name, person in self.people.items():
            if person is other:
                self.people[name] = one


def _is_bought(person: Person, push: LeasedPush) -> bool:
    """Tell whether the customer bought after what the push is about."""
    motive = push.motive_time.ToNanoseconds() / 1e9
    match push.kind:
        case TriggerKind.TRIGGER_KIND_ABANDONED_CART:
            return person.last_time((PURCHASE,)) > person.last_time((CART,))
        case TriggerKind.TRIGGER_KIND_NEXT_PURCHASE:
            return person.last_time((PURCHASE,)) > motive + 1
        case _:
            item = push.motive_item_id
            return bool(item) and person.last_time((PURCHASE,), item) > person.last_time((VIEW, SEARCH, CART), item)
