"""``dangol erasures``: finish what erasing a customer began, and prove it."""

from typing import Annotated

import typer
from rich.console import Console

from cli.output import answer, people, plain_table, print_json, progress_bars
from cli.publish import RedisUrl, Tenant
from cli.session import Json, session_of

group = typer.Typer(help="Finish erasures everywhere, and verify them.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="erasures", rich_help_panel="Know the customers")


@group.command("list")
def list_erasures(context: typer.Context, redis_url: RedisUrl = "", tenant: Tenant = "", as_json: Json = False) -> None:
    """List the receipts, oldest first. Who it was nobody can tell from them.

    Example: `dangol erasures list`
    """
    from cli.erasure_work import erasures
    from cli.publishing import RedisTarget

    found = erasures(session_of(context), RedisTarget(redis_url, tenant))
    if as_json:
        for one in found:
            print_json({"receipt_id": one.receipt_id, "erase_time": one.erase_time.isoformat(), "ids": len(one.ids)})
        return
    table = plain_table("receipt", "when (UTC)", "ids")
    for one in found:
        table.add_row(one.receipt_id, f"{one.erase_time:%Y-%m-%d %H:%M}", str(len(one.ids)))
    people().print(table if found else "Nobody was erased.")


@group.command()
def apply(context: typer.Context, redis_url: RedisUrl = "", tenant: Tenant = "", as_json: Json = False) -> None:
    """Remove what is left of every erased customer: from Redis, archive, models, exports and refused rows.

    Run it on the machine that trains, once an hour or a day. It may be repeated and interrupted at any time.

    Example: `dangol erasures apply`
    """
    from cli.erasure_work import apply as run_apply
    from cli.publishing import RedisTarget

    with progress_bars(not as_json) as progress:
        counts = run_apply(session_of(context), RedisTarget(redis_url, tenant), progress)
    answer({"removed": counts}, as_json, lambda console: _show(console, counts, "removed", "Nothing was left."))


@group.command()
def verify(
    context: typer.Context,
    receipt: Annotated[str, typer.Argument(help="What erasing the customer gave.", metavar="RECEIPT")],
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Look everywhere for what is left of an erased customer: exit code 0 when there is nothing, 1 otherwise.

    Looks at every key in Redis, every event of log and archive, every model, export and refused row.

    Example: `dangol erasures verify 5f0c2a9be1d47380`
    """
    from cli.erasure_work import verify as run_verify
    from cli.publishing import RedisTarget

    with progress_bars(not as_json) as progress:
        counts = run_verify(session_of(context), RedisTarget(redis_url, tenant), receipt, progress)
    document = {"receipt_id": receipt, "residues": counts}
    answer(document, as_json, lambda console: _show(console, counts, "left", "Nothing is left."))
    if counts:
        raise typer.Exit(1)


def _show(console: Console, counts: dict[str, int], column: str, nothing: str) -> None:
    if not counts:
        console.print(nothing)
        return
    table = plain_table("where", column)
    for place, count in sorted(counts.items()):
        table.add_row(place, f"{count:,}")
    console.print(table)
