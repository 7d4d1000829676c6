"""Shows everything that is known of a customer, for somebody who talks to them."""

from collections.abc import Iterator

from rich.console import Console

from cli.output import plain_table
from cli.slates import show_slates
from dangol.v1.customer_pb2 import Consent, ConsentStatus, Customer, CustomerAttribute
from dangol.v1.customer_service_pb2 import GetCustomerResponse, Outlook, PushState, RecentEvent


def show_customer(console: Console, response: GetCustomerResponse) -> None:
    """Print who the customer is, what they did lately, and what is offered to them."""
    customer = response.customer
    console.print(customer.customer_id, style="bold", markup=False)
    facts = plain_table("", "")
    facts.show_header = False
    for name, text in _facts(response):
        facts.add_row(name, text)
    if facts.row_count:
        console.print(facts)
    _show_events(console, response)
    _show_pushes(console, response)
    show_slates(console, response.slates)
    if response.model_version:
        console.print(f"[dim]as of now, model {response.model_version}; nothing was reserved[/dim]")


def _facts(response: GetCustomerResponse) -> Iterator[tuple[str, str]]:
    customer: Customer = response.customer
    if response.identity_ids:
        yield "known as", ", ".join(response.identity_ids)
    if customer.language:
        yield "language", customer.language
    if customer.time_zone:
        yield "time zone", customer.time_zone
    for attribute in customer.attributes:
        yield attribute.name, _value_text(attribute)
    for consent in customer.consents:
        yield f"consent to {consent.category}", _consent_text(consent)
    if response.HasField("outlook"):
        yield from _outlook_facts(response.outlook)


def _outlook_facts(outlook: Outlook) -> Iterator[tuple[str, str]]:
    scores = (outlook.recency_score, outlook.frequency_score, outlook.monetary_score)
    yield "segment", "{} (recency {}, frequency {}, monetary {} of 5)".format(outlook.segment, *scores)
    yield "churn risk", f"{outlook.churn_risk:.0%}"
    if outlook.value:
        yield "value in 90 days", f"{outlook.value:,.2f}"
    if outlook.HasField("purchase_time"):
        yield "next purchase", f"about {outlook.purchase_time.ToDatetime():%Y-%m-%d}"


def _value_text(attribute: CustomerAttribute) -> str:
    match attribute.WhichOneof("value"):
        case "texts":
            return ", ".join(attribute.texts.values)
        case "number":
            return f"{attribute.number:g}"
        case "truth":
            return "yes" if attribute.truth else "no"
        case _:
            return attribute.text


def _consent_text(consent: Consent) -> str:
    said = "granted" if consent.status == ConsentStatus.CONSENT_STATUS_GRANTED else "withdrawn"
    channel = f" for {consent.channel}" if consent.channel else ""
    return f"{said}{channel} on {consent.statement_time.ToDatetime():%Y-%m-%d}"


def _show_events(console: Console, response: GetCustomerResponse) -> None:
    if not response.recent_events:
        console.print("Nothing is known of what they did lately.")
        return
    columns = ("when (UTC)", "what", "item", "name", "offer")
    rows = [_event_row(event) for event in response.recent_events]
    used = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    table = plain_table(*(columns[place] for place in used), title="lately")
    for row in rows:
        table.add_row(*(row[place] for place in used))
    console.print(table)


def _show_pushes(console: Console, response: GetCustomerResponse) -> None:
    if not response.pushes:
        return
    table = plain_table("since (UTC)", "push", "about", "state", title="pushes")
    for push in response.pushes:
        state = PushState.Name(push.state).removeprefix("PUSH_STATE_").lower()
        told = f"{state} ({push.reason})" if push.reason else state
        since = f"{push.state_time.ToDatetime():%Y-%m-%d %H:%M}"
        table.add_row(since, push.trigger, push.motive_item_id or push.offer_id, told)
    console.print(table)


def _event_row(event: RecentEvent) -> tuple[str, ...]:
    when = f"{event.event_time.ToDatetime():%Y-%m-%d %H:%M}"
    return when, event.event_type, event.item_id, event.item_title, event.offer_id
