"""``dangol worker``: what a shop's customers just did becomes fresh candidates, and goes into the archive."""

from pathlib import Path
from typing import Annotated

import typer

from cli.publish import RedisUrl, Tenant
from cli.session import session_of


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Learn and publish")(worker)


def worker(
    context: typer.Context,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    archive: Annotated[
        str, typer.Option("--archive", help="Folder or URL; else DANGOL_ARCHIVE, else `archive` in the home.")
    ] = "",
    metrics_listen: Annotated[
        str, typer.Option("--metrics-listen", help="Where metrics and health are; `off`: nowhere.")
    ] = "",
    ready_file: Annotated[
        Path | None, typer.Option("--ready-file", help="Where to write the address of the metrics once it is open.")
    ] = None,
    log_level: Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")] = "",
) -> None:
    """Work on the log of events until Ctrl-C or SIGTERM: fresh candidates, dead letters, the archive.

    Any number of workers share the work; one that is killed leaves nothing undone. docs/live.md says what they do.

    Example: `dangol worker --archive s3://bucket/events`
    """
    from service.settings import read_settings
    from service.worker import work

    options = {
        "redis_url": redis_url,
        "tenant": tenant,
        "archive": archive,
        "metrics_listen": metrics_listen,
        "ready_file": ready_file,
        "log_level": log_level,
    }
    given = {name: value for name, value in options.items() if value}
    work(read_settings(home=session_of(context).home, **given))
