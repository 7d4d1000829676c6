"""``dangol customers``: what the shop knows of its customers."""

from pathlib import Path
from typing import Annotated

import typer

from cli.output import answer, progress_bars
from cli.publish import CUSTOMERS_EXPORT, RedisUrl, Tenant
from cli.session import DEFAULT_ADDRESS, Address, Json, Timeout, session_of

BATCH = 500

Customer = Annotated[str, typer.Argument(help="The customer's id, or any of them.", metavar="CUSTOMER")]

group = typer.Typer(help="Look customers up, and tell the server who they are.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="customers", rich_help_panel="Know the customers")


@group.command()
def show(
    context: typer.Context,
    customer: Customer,
    placement: Annotated[
        list[str] | None, typer.Option("--placement", "-p", help="Show what is offered there now, and why; repeatable.")
    ] = None,
    channel: Annotated[str, typer.Option("--channel", help="The channel that is asked for, such as `web`.")] = "",
    size: Annotated[int, typer.Option("--events", "-n", help="How many of the newest events; 0: some.")] = 0,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Show everything that is known of a customer: what they did, said and get to see.

    Example: `dangol customers show 1172 --placement home-top`
    """
    from cli.customer_view import show_customer
    from cli.messages import document_of

    with session_of(context).client(address, timeout) as client:
        response = client.get_customer(customer, placement or (), channel=channel, page_size=size)
    answer(document_of(response, with_defaults=True), as_json, lambda console: show_customer(console, response))


@group.command()
def link(
    context: typer.Context,
    customer: Customer,
    alias: Annotated[list[str], typer.Argument(help="Further ids of the same customer.", metavar="ALIAS...")],
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Say that several ids are one customer: a device, an e-mail hash, a shop card.

    Example: `dangol customers link 1172 device-7f3a card-0042`
    """
    with session_of(context).client(address, timeout) as client:
        names = client.link_identities(customer, alias)
    answer({"identity_ids": names}, as_json, lambda console: console.print(f"one customer now: {', '.join(names)}"))


@group.command()
def unlink(
    context: typer.Context,
    customer: Customer,
    alias: Annotated[
        list[str] | None, typer.Argument(help="The ids that are not the same; all unless given.", metavar="[ALIAS...]")
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Take links of an id back; each id keeps what was recorded under it.

    Example: `dangol customers unlink device-7f3a`
    """
    with session_of(context).client(address, timeout) as client:
        names = client.unlink_identities(customer, alias or ())
    left = f"still one customer: {', '.join(names)}" if names else f"{customer} is alone"
    answer({"identity_ids": names}, as_json, lambda console: console.print(left))


@group.command()
def erase(
    context: typer.Context,
    customer: Customer,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Erase a customer with all of their ids. It cannot be undone; what arrives of them later is dropped.

    Example: `dangol customers erase 1172`, then `dangol erasures apply` and `dangol erasures verify RECEIPT`
    """
    if not yes:
        typer.confirm(f"Erase {customer} for ever?", abort=True, err=True)
    with session_of(context).client(address, timeout) as client:
        response = client.erase_customer(customer)
    document = {
        "receipt_id": response.receipt_id,
        "erase_time": response.erase_time.ToJsonString(),
        "identity_count": response.identity_count,
    }
    line = f"erased with {response.identity_count} ids; the receipt is {response.receipt_id}"
    answer(document, as_json, lambda console: console.print(line))


@group.command()
def export(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="The file to write; under `exports/` unless given.", metavar="FILE")
    ] = None,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Write what is stored of customers, and which ids are one, to a file that `dangol train` and `rebuild` read.

    Example: `dangol customers export`, then `dangol train sales.parquet --customers .dangol/exports/customers.jsonl`
    """
    from cli.publishing import RedisTarget, reaching
    from service.store.customer_exports import write_customers

    session = session_of(context)
    path = file or session.home / CUSTOMERS_EXPORT
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = RedisTarget(redis_url, tenant).settings(session)
    with reaching(settings) as connection:
        count = write_customers(path, connection, settings.tenant)
    line = f"{count:,} records and links written to {path}"
    answer({"file": str(path), "records": count}, as_json, lambda console: console.print(line))


@group.command()
def upsert(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines, or one JSON array.", metavar="FILE")
    ],
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Store customers from a file; each replaces what was stored of the same id.

    Example: `dangol customers upsert customers.jsonl`
    """
    from cli.messages import read_messages
    from dangol.v1.customer_pb2 import Customer as CustomerMessage

    customers = list(read_messages(file, CustomerMessage))
    stored = 0
    with (
        session_of(context).client(address, timeout) as client,
        progress_bars(not as_json) as progress,
        progress.stage("storing customers", len(customers)) as stage,
    ):
        for start in range(0, len(customers), BATCH):
            batch = customers[start : start + BATCH]
            stored += client.upsert_customers(batch)
            stage.advance(len(batch))
    answer({"stored": stored}, as_json, lambda console: console.print(f"{stored:,} customers stored"))
