"""``dangol experiments report``: what came of an experiment."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from cli.output import answer
from cli.publish import RedisUrl, Tenant
from cli.session import Json, session_of
from models.errors import NotFoundError


def report(
    context: typer.Context,
    experiment_id: Annotated[str, typer.Argument(help="The experiment's id.", metavar="EXPERIMENT")],
    event_type: Annotated[
        str, typer.Option("--event", help="What counts; `purchase` for a split, `click` for interleaved rankings.")
    ] = "",
    events: Annotated[
        Path | None,
        typer.Option("--events", exists=True, dir_okay=False, help="From an export instead of log and archive."),
    ] = None,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Compare the arms of an experiment by what customers did after they met it.

    Example: `dangol experiments report home-ranking`
    """
    from cli.experiment_report import document_of_report
    from cli.log_work import all_events
    from cli.publishing import RedisTarget, reaching
    from models.experiments import Experiment
    from service.store.catalog_store import read_record
    from service.store.exports import read_events

    settings = RedisTarget(redis_url, tenant).settings(session_of(context))
    with reaching(settings) as connection:
        experiment = read_record(connection, settings.tenant, "experiments", experiment_id)
        if not isinstance(experiment, Experiment):
            raise NotFoundError(f"there is no experiment {experiment_id}")
        told = all_events(connection, settings) if events is None else chain.from_iterable(read_events(events))
        document, show = document_of_report(experiment, told, event_type)
    answer(document, as_json, show)
