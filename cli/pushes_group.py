"""``dangol pushes``: what triggers made, handed to whoever sends it."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import answer, people, plain_table, print_json
from cli.session import DEFAULT_ADDRESS, Address, Json, Timeout, session_of

if TYPE_CHECKING:
    from dangol.v1.push_service_pb2 import LeasedPush

OUTCOMES = ("sent", "returned", "refused")

group = typer.Typer(help="Get what is to be pushed, and tell what became of it.", no_args_is_help=True)

Size = Annotated[int, typer.Option("--size", "-n", min=0, help="How many at most; 0: some.")]


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="pushes", rich_help_panel="Know the customers")


@group.command()
def lease(
    context: typer.Context,
    size: Size = 0,
    visibility: Annotated[
        int, typer.Option("--visibility", min=1, max=3_600, help="Seconds for which nobody else gets them.")
    ] = 60,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Get pushes that are due and still right; send them, then acknowledge them.

    Example: `dangol pushes lease --json --visibility 300`
    """
    from cli.messages import document_of

    with session_of(context).client(address, timeout) as client:
        pushes = client.lease_pushes(page_size=size, visibility=visibility)
    if as_json:
        for push in pushes:
            print_json(document_of(push))
        return
    table = plain_table("push", "lease", "customer", "trigger", "about", "offered", "send before (UTC)")
    for push in pushes:
        before = f"{push.lease_end_time.ToDatetime():%Y-%m-%d %H:%M:%S}"
        names = push.customer_id, push.trigger, push.motive_item_id, offered(push)
        table.add_row(push.push_id, str(push.lease), *names, before)
    people().print(table if pushes else "Nothing is to be pushed now.")


@group.command()
def acknowledge(
    context: typer.Context,
    outcome: Annotated[str, typer.Argument(help="`sent`, `returned` (try again) or `refused`.", metavar="OUTCOME")],
    push: Annotated[
        list[str], typer.Argument(help="Pushes as leased: PUSH, or PUSH:LEASE unless sent.", metavar="PUSH...")
    ],
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """Tell what became of pushes.

    Example: `dangol pushes acknowledge sent 5d0c2f0b1b0f8a2d6a1e4c3b`
    """
    from dangol.v1.push_service_pb2 import PushAcknowledgement, PushOutcome

    if outcome not in OUTCOMES:
        raise typer.BadParameter(f"is not one of {', '.join(OUTCOMES)}", param_hint="OUTCOME")
    number = PushOutcome.Value(f"PUSH_OUTCOME_{outcome.upper()}")
    given = []
    for name in push:
        push_id, _, lease_number = name.partition(":")
        if lease_number and not lease_number.isdecimal():
            raise typer.BadParameter(f"{name}: a lease is a number", param_hint="PUSH")
        given.append(PushAcknowledgement(push_id=push_id, lease=int(lease_number or 0), outcome=number))
    with session_of(context).client(address, timeout) as client:
        taken = client.acknowledge_pushes(given)
    document = {"acknowledged": taken, "unknown": len(given) - taken}
    answer(document, as_json, lambda console: console.print(f"{taken:,} of {len(given):,} taken"))


@group.command("list")
def listing(
    context: typer.Context,
    size: Size = 0,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    as_json: Json = False,
) -> None:
    """List what waits, the next first, and lease nothing.

    Example: `dangol pushes list`
    """
    from cli.messages import document_of

    with session_of(context).client(address, timeout) as client:
        response = client.list_pushes(page_size=size)
    if as_json:
        print_json(document_of(response, with_defaults=True))
        return
    table = plain_table("due (UTC)", "customer", "trigger", "about", "leased")
    for push in response.pushes:
        due = f"{push.due_time.ToDatetime():%Y-%m-%d %H:%M:%S}"
        about = push.motive_item_id or push.offer_id
        table.add_row(due, push.customer_id, push.trigger, about, str(push.lease_count or ""))
    console = people()
    console.print(table if response.pushes else "Nothing waits.")
    if response.waiting_count > len(response.pushes):
        console.print(f"{response.waiting_count:,} wait in all")


def offered(push: "LeasedPush") -> str:
    """Say what a push offers."""
    return push.offer.title or push.offer.item_title or push.offer.item_id
