"""``dangol record``: tell a server what customers did."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.money import read_money
from cli.output import answer, progress_bars
from cli.session import DEFAULT_ADDRESS, Address, Json, Timeout, session_of
from models.errors import InvalidInputError

if TYPE_CHECKING:
    from dangol.v1.event_pb2 import Event

BATCH = 1_000


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Ask a server")(record)


def record(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's id.")] = "",
    event_type: Annotated[str, typer.Argument(help="What was done: `purchase`, `view`, `cart`, …")] = "",
    item: Annotated[str, typer.Argument(help="The item it was done to.")] = "",
    offer: Annotated[str, typer.Option("--offer", help="The offer it was done to.")] = "",
    quantity: Annotated[float, typer.Option("--quantity", help="How many.")] = 1.0,
    value: Annotated[str, typer.Option("--value", help="The total value with its currency, such as `3.49USD`.")] = "",
    channel: Annotated[str, typer.Option("--channel", help="Where it happened, such as `web`.")] = "",
    query: Annotated[str, typer.Option("--query", help="The text of a `search`.")] = "",
    rating: Annotated[float, typer.Option("--rating", help="The stars of a `rating`, 0 to 5.")] = 0.0,
    time: Annotated[datetime | None, typer.Option("--time", help="When, UTC; now unless given.")] = None,
    event_id: Annotated[str, typer.Option("--event-id", help="Sent again under one id, it counts once.")] = "",
    request_id: Annotated[str, typer.Option("--request-id", help="The response that led to it.")] = "",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", exists=True, dir_okay=False, help="Events as JSON Lines instead.")
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Record what a customer did, or a file of events.

    Examples: `dangol record 1172 purchase 1082185 --value 1.29USD`, `dangol record --file events.jsonl`
    """
    from dangol.v1.event_pb2 import Event

    if file is not None:
        if customer:
            raise InvalidInputError("--file", "takes the place of CUSTOMER, EVENT_TYPE and ITEM: give one or the other")
        recorded, duplicates = _record_file(context, file, address, timeout)
    else:
        if not customer or not event_type:
            raise InvalidInputError("CUSTOMER EVENT_TYPE", "say who did what, or name a --file")
        event = Event(
            event_id=event_id or str(uuid.uuid4()),
            customer_id=customer,
            event_type=event_type,
            item_id=item,
            offer_id=offer,
            quantity=quantity,
            channel=channel,
            query=query,
            rating=rating,
            request_id=request_id,
        )
        _set_time_and_value(event, time, value)
        with session_of(context).client(address, timeout) as client:
            response = client.record_events([event])
        recorded, duplicates = response.recorded_count, response.duplicate_count
    counts = {"recorded_count": recorded, "duplicate_count": duplicates}
    again = f", {duplicates} known before" if duplicates else ""
    answer(counts, as_json, lambda console: console.print(f"{recorded} recorded{again}"))


def _set_time_and_value(event: "Event", time: datetime | None, value: str) -> None:
    # The option carries no zone and means UTC, as its help says.
    event.event_time.FromDatetime(time.replace(tzinfo=UTC) if time else datetime.now(UTC))
    if value:
        event.value.minor_units, event.value.currency_code = read_money(value, "--value")


def _record_file(context: typer.Context, file: Path, address: str, timeout: float) -> tuple[int, int]:
    from cli.messages import read_messages
    from dangol.v1.event_pb2 import Event

    events = list(read_messages(file, Event))
    recorded = duplicates = 0
    with (
        session_of(context).client(address, timeout) as client,
        progress_bars() as progress,
        progress.stage("recording events", len(events)) as stage,
    ):
        for start in range(0, len(events), BATCH):
            batch = events[start : start + BATCH]
            response = client.record_events(batch)
            recorded += response.recorded_count
            duplicates += response.duplicate_count
            stage.advance(len(batch))
    return recorded, duplicates
