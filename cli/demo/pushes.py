"""The push part of the demo: households look at what their coupons are on, and a push system drains what follows."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from rich.console import Console

from cli.demo.catalog import DemoCatalog
from cli.demo.households import Purchases
from cli.output import plain_table
from dangol.client import Client
from dangol.v1 import catalog_pb2
from dangol.v1.catalog_pb2 import Placement, QuietHours, Trigger
from dangol.v1.customer_pb2 import Consent, ConsentStatus, Customer
from dangol.v1.customer_service_pb2 import CustomerPush, PushState
from dangol.v1.event_pb2 import Event
from dangol.v1.push_service_pb2 import LeasedPush, PushAcknowledgement, PushOutcome
from models.errors import UnavailableError

_HOUSEHOLDS = 6
_PATIENCE = 30.0
_LOOK = 0.02  # seconds between two looks whether the worker has made the pushes
_PUSH = "push"

_WHY = {
    catalog_pb2.TRIGGER_KIND_DISCOUNT: "looked at it; a coupon is on it",
    catalog_pb2.TRIGGER_KIND_ABANDONED_CART: "left it in the cart",
    catalog_pb2.TRIGGER_KIND_BACK_IN_STOCK: "looked at it when it was sold out",
    catalog_pb2.TRIGGER_KIND_OFFER_ENDING: "looked at it; its coupon ends soon",
    catalog_pb2.TRIGGER_KIND_NEXT_PURCHASE: "usually buys about now",
}


@dataclass(frozen=True, slots=True)
class Drained:
    """Holds what was leased, and what became of the pushes to those who bought or opted out meanwhile."""

    sent: Sequence[LeasedPush]
    dropped: Mapping[str, CustomerPush]

    def document(self) -> dict[str, object]:
        """Write it for machines."""
        return {
            "sent": [
                {"customer_id": push.customer_id, "trigger": push.trigger, "item_id": push.offer.item_id}
                for push in self.sent
            ],
            "dropped": {customer_id: push.reason for customer_id, push in self.dropped.items()},
        }


def drain_pushes(client: Client, catalog: DemoCatalog, purchases: Purchases, busy: Sequence[str]) -> Drained:
    """Let households browse, two of them change their minds, and lease what is still right; a worker must run.

    ``busy`` households are left out: of them it is known when they respond, and that may not be now.
    """
    visits = _visits(catalog, purchases, busy)
    with _pushing(client, list(visits)):
        for place, (customer_id, item_id) in enumerate(visits.items()):
            _record(client, customer_id, "view" if place % 2 else "cart", item_id)
        _wait_until_made(client, list(visits))
        bought, opted_out = list(visits)[:2]
        _record(client, bought, "purchase", visits[bought])
        client.upsert_customers([_customer(opted_out, ConsentStatus.CONSENT_STATUS_WITHDRAWN)])
        sent: list[LeasedPush] = []
        while leased := client.lease_pushes():
            sent += leased
            outcome = PushOutcome.PUSH_OUTCOME_SENT
            client.acknowledge_pushes([PushAcknowledgement(push_id=push.push_id, outcome=outcome) for push in leased])
        dropped = {
            customer_id: told
            for customer_id in (bought, opted_out)
            for told in client.get_customer(customer_id).pushes
            if told.state == PushState.PUSH_STATE_DROPPED
        }
    return Drained(sent, dropped)


def show_pushes(console: Console, drained: Drained) -> None:
    """Say what was pushed, why, and what was not."""
    console.print(f"[green]✓[/green] {len(drained.sent)} pushes were due and still right, each sent once:")
    table = plain_table("household", "trigger", "pushed", "because the household", "send before (UTC)")
    for push in drained.sent:
        before = f"{push.lease_end_time.ToDatetime():%H:%M:%S}"
        title = push.offer.title or push.offer.item_title
        table.add_row(push.customer_id, push.trigger, title, _WHY[push.kind], before)
    console.print(table)
    reasons = {"motive": "bought it meanwhile", "consent": "opted out meanwhile"}
    for customer_id, dropped in drained.dropped.items():
        told = reasons.get(dropped.reason, dropped.reason)
        console.print(f"  [dim]not pushed: household {customer_id} ({dropped.trigger}), {told}[/dim]")


def _visits(catalog: DemoCatalog, purchases: Purchases, busy: Sequence[str]) -> dict[str, str]:
    """Choose households, each with an item that a coupon of theirs is on, and not that of another one."""
    members = {audience.audience_id: set(audience.customer_ids) for audience in catalog.audiences}
    excluded, sold = set(busy), catalog.titles().keys()
    visits: dict[str, str] = {}
    for household in purchases.households:
        name = household.customer_id
        own = (
            item_id
            for offer in catalog.running()
            if any(name in members[audience_id] for audience_id in offer.audience_ids)
            for item_id in offer.item_ids
            if item_id in sold and item_id not in visits.values()
        )
        item_id = next(own, None) if name not in excluded else None
        if item_id is not None:
            visits[name] = item_id
        if len(visits) == _HOUSEHOLDS:
            break
    return visits


@contextmanager
def _pushing(client: Client, customer_ids: Sequence[str]) -> Iterator[None]:
    """Switch two triggers on that push at this hour, whichever it is, to households that agreed to it."""
    hour = datetime.now(UTC).hour or 24
    at_once = Duration(seconds=0)
    triggers = [
        Trigger(trigger=name, kind=kind, priority=priority, delay=at_once, default_hour=hour)
        for name, kind, priority in (
            ("coupon-for-you", catalog_pb2.TRIGGER_KIND_DISCOUNT, 0),
            ("left-in-cart", catalog_pb2.TRIGGER_KIND_ABANDONED_CART, 1),
        )
    ]
    # The demo may run at night: its placement has no quiet hours.
    client.upsert_placements([Placement(placement=_PUSH, quiet_hours=QuietHours())])
    client.upsert_customers([_customer(name, ConsentStatus.CONSENT_STATUS_GRANTED) for name in customer_ids])
    client.upsert_triggers(triggers)
    yield
    client.delete_triggers([trigger.trigger for trigger in triggers])


def _customer(customer_id: str, status: ConsentStatus.ValueType) -> Customer:
    return Customer(customer_id=customer_id, consents=[Consent(category="marketing", channel=_PUSH, status=status)])


def _record(client: Client, customer_id: str, event_type: str, item_id: str) -> None:
    event = Event(event_id=str(uuid4()), customer_id=customer_id, event_type=event_type, item_id=item_id)
    event.channel = "app"
    event.event_time.GetCurrentTime()
    client.record_events([event])


def _wait_until_made(client: Client, customer_ids: Sequence[str]) -> None:
    deadline = time.monotonic() + _PATIENCE
    waiting = set(customer_ids)
    while waiting:
        found = {push.customer_id for push in client.list_pushes(page_size=1_000).pushes}
        waiting -= found
        if time.monotonic() > deadline:
            raise UnavailableError("the worker does not make pushes")
        time.sleep(_LOOK)
