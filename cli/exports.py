"""``dangol catalog``: the catalogue, to a file and back."""

from pathlib import Path
from typing import Annotated

import typer

from cli.output import answer, progress_bars
from cli.publish import CATALOG_EXPORT, RedisUrl, Tenant
from cli.session import Json, session_of

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="From an export.", metavar="FILE")]
Target = Annotated[
    Path | None, typer.Argument(help="The file to write; under `exports/` of the home unless given.", metavar="FILE")
]
PANEL = "Keep the catalogue"

catalog_group = typer.Typer(help="Export the whole catalogue to a file, and import it.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(catalog_group, name="catalog", rich_help_panel=PANEL)


@catalog_group.command("export")
def export_catalog(
    context: typer.Context,
    file: Target = None,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Write items, offers, placements, audiences, experiments and triggers to a file that `dangol rebuild` reads.

    Example: `dangol catalog export`
    """
    from cli import export_work
    from cli.publishing import RedisTarget

    session = session_of(context)
    path = file or session.home / CATALOG_EXPORT
    count = export_work.export_catalog(session, RedisTarget(redis_url, tenant), path)
    answer(
        {"file": str(path), "records": count},
        as_json,
        lambda console: console.print(f"{count:,} catalogue records written to {path}"),
    )


@catalog_group.command("import")
def import_catalog(
    context: typer.Context,
    file: File,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Store everything in a file that `dangol catalog export` wrote; what else there is stays.

    Example: `dangol catalog import catalog.jsonl`
    """
    from cli import export_work
    from cli.publishing import RedisTarget

    with progress_bars(not as_json) as progress:
        count = export_work.import_catalog(session_of(context), RedisTarget(redis_url, tenant), file, progress)
    answer({"records": count}, as_json, lambda console: console.print(f"{count:,} catalogue records stored"))
