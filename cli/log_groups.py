"""``dangol events``: the log of events, how far the workers are with it, and what they set aside."""

from typing import Annotated

import typer

from cli.exports import PANEL, Target
from cli.output import answer, people, plain_table, print_json
from cli.publish import EVENTS_EXPORT, RedisUrl, Tenant
from cli.session import Json, session_of
from models.errors import InvalidInputError

Names = Annotated[list[str] | None, typer.Argument(help="As `dangol events dead list` shows them.", metavar="NAME...")]
All = Annotated[bool, typer.Option("--all", help="Everything that was set aside.")]

events_group = typer.Typer(help="Look after the log of events, and export it.", no_args_is_help=True)
dead_group = typer.Typer(help="Look at what no worker could apply, and apply it again.", no_args_is_help=True)
events_group.add_typer(dead_group, name="dead")


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(events_group, name="events", rich_help_panel=PANEL)


@events_group.command("export")
def export_events(
    context: typer.Context,
    file: Target = None,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Write all events, of the archive and of the log, to a file that `dangol rebuild` reads.

    Example: `dangol events export`
    """
    from cli import log_work
    from cli.publishing import RedisTarget

    session = session_of(context)
    path = file or session.home / EVENTS_EXPORT
    count = log_work.export_events(session, RedisTarget(redis_url, tenant), path)
    answer(
        {"file": str(path), "events": count},
        as_json,
        lambda console: console.print(f"{count:,} events written to {path}"),
    )


@events_group.command("lag")
def show_lag(context: typer.Context, redis_url: RedisUrl = "", tenant: Tenant = "", as_json: Json = False) -> None:
    """Show, shard by shard, how many events are in the log, wait for a worker, are being applied, were set aside.

    Example: `dangol events lag`
    """
    from cli import log_work
    from cli.publishing import RedisTarget

    lags = log_work.lags(session_of(context), RedisTarget(redis_url, tenant))
    names = ("length", "waiting", "pending", "dead")
    if as_json:
        for lag in lags:
            print_json({"shard": f"{lag.shard:02x}"} | {name: getattr(lag, name) for name in names})
        return
    table = plain_table("shard", "in the log", "waiting", "being applied", "set aside")
    for lag in lags:
        table.add_row(f"{lag.shard:02x}", *(f"{getattr(lag, name):,}" for name in names))
    table.add_row("all", *(f"{sum(getattr(lag, name) for lag in lags):,}" for name in names), style="bold")
    people().print(table)


@dead_group.command("list")
def list_dead(context: typer.Context, redis_url: RedisUrl = "", tenant: Tenant = "", as_json: Json = False) -> None:
    """List what was set aside, with the reason.

    Example: `dangol events dead list`
    """
    from cli import log_work
    from cli.publishing import RedisTarget

    letters = log_work.dead_letters(session_of(context), RedisTarget(redis_url, tenant))
    table = plain_table("name", "reason", "event")
    for letter in letters:
        content = letter.content.decode(errors="replace")
        if as_json:
            print_json({"name": letter.name, "entry_id": letter.entry_id, "reason": letter.reason, "event": content})
        else:
            table.add_row(letter.name, letter.reason, content)
    if not as_json:
        people().print(table if letters else "nothing was set aside")


@dead_group.command("replay")
def replay_dead(
    context: typer.Context,
    names: Names = None,
    everything: All = False,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Append what was set aside to the log again, once its reason is mended.

    Example: `dangol events dead replay --all`
    """
    from cli import log_work
    from cli.publishing import RedisTarget

    _check_choice(names, everything)
    count = log_work.replay(session_of(context), RedisTarget(redis_url, tenant), names)
    answer({"replayed": count}, as_json, lambda console: console.print(f"{count:,} entries appended to the log again"))


@dead_group.command("remove")
def remove_dead(
    context: typer.Context,
    names: Names = None,
    everything: All = False,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Throw away for good what was set aside.

    Example: `dangol events dead remove 0a/1735689600000-0`
    """
    from cli import log_work
    from cli.publishing import RedisTarget

    _check_choice(names, everything)
    count = log_work.remove(session_of(context), RedisTarget(redis_url, tenant), names)
    answer({"removed": count}, as_json, lambda console: console.print(f"{count:,} entries thrown away"))


def _check_choice(names: list[str] | None, everything: bool) -> None:
    if bool(names) == everything:
        raise InvalidInputError("NAME", "name entries, or say --all")
