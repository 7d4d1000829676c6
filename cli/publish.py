"""``dangol publish``, ``rollback`` and ``rebuild``: what Redis holds to be served."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli.output import answer, progress_bars
from cli.session import Json, Session, session_of

if TYPE_CHECKING:
    from service.publisher import Rebuilt
    from service.store.generation_record import GenerationRecord

RedisUrl = Annotated[
    str, typer.Option("--redis-url", help="Your own Redis; else DANGOL_REDIS_URL, else the private one.")
]
Tenant = Annotated[str, typer.Option("--tenant", help="The shop; else DANGOL_TENANT, else `local`.")]

CATALOG_EXPORT = Path("exports") / "catalog.jsonl"
CUSTOMERS_EXPORT = Path("exports") / "customers.jsonl"
EVENTS_EXPORT = Path("exports") / "events.jsonl"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (publish, rollback, rebuild):
        app.command(rich_help_panel="Learn and publish")(command)


def publish(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="The model version; the current one unless given.")] = "",
    hold: Annotated[
        bool, typer.Option("--hold", help="Keep it beside what is served, for arms of experiments, until released.")
    ] = False,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Bring a model into Redis as a new generation, and serve it from then on.

    Servers that run take it up within a second. Whatever goes wrong, what was served goes on being served. With --hold
    it is not served but to arms of experiments that name it; what Redis has already is not written again.

    Example: `dangol publish`
    """
    from cli import publishing

    session, target = session_of(context), publishing.RedisTarget(redis_url, tenant)
    with progress_bars(not as_json) as progress:
        if hold:
            record = publishing.hold(session, target, version or None, progress)
        else:
            record = publishing.publish(session, target, version or None, progress)
    rest = "is held until it is released" if hold else "is served"
    _answer_generation(record, as_json, f"{rest}: {{customers:,}} customers have a list")


def rollback(context: typer.Context, redis_url: RedisUrl = "", tenant: Tenant = "", as_json: Json = False) -> None:
    """Serve again what was served before, in Redis and in the registry. Takes less than a second.

    Example: `dangol rollback`
    """
    from cli import publishing

    with progress_bars(not as_json) as progress:
        record = publishing.roll_back(session_of(context), publishing.RedisTarget(redis_url, tenant), progress)
    _answer_generation(record, as_json, "is served again")


def rebuild(
    context: typer.Context,
    catalog: Annotated[
        Path | None, typer.Option("--catalog", exists=True, dir_okay=False, help="From `dangol catalog export`.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", exists=True, dir_okay=False, help="From `dangol events export`.")
    ] = None,
    customers: Annotated[
        Path | None, typer.Option("--customers", exists=True, dir_okay=False, help="From `dangol customers export`.")
    ] = None,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Fill a Redis that lost everything: model, catalogue, events and customers, from files.

    Models that arms of experiments name are held again.

    Events come from the archive (DANGOL_ARCHIVE, else `archive` in the home) and from an export. Files that are not
    named are looked for where the exports write them. May be repeated: nothing is counted twice.

    Example: `dangol rebuild --catalog catalog.jsonl`
    """
    from cli import publishing

    session = session_of(context)
    target = publishing.RedisTarget(redis_url, tenant)
    with progress_bars(not as_json) as progress:
        rebuilt = publishing.rebuild(
            session,
            target,
            catalog or _present(session, CATALOG_EXPORT),
            events or _present(session, EVENTS_EXPORT),
            customers or _present(session, CUSTOMERS_EXPORT),
            progress,
        )
    _answer_rebuilt(rebuilt, as_json)


def _present(session: Session, name: Path) -> Path | None:
    path = session.home / name
    return path if path.is_file() else None


def _answer_rebuilt(rebuilt: "Rebuilt", as_json: bool) -> None:
    generation = rebuilt.generation
    document = {
        "generation": _document(generation) if generation else None,
        "catalog_records": rebuilt.catalog_records,
        "events": rebuilt.events,
        "customers": rebuilt.customers,
        "held": rebuilt.held,
        "lost": rebuilt.lost,
    }
    model = f"model {generation.model_version}" if generation else "no model (`dangol train` makes one)"
    line = (
        f"{model}, {rebuilt.catalog_records:,} catalogue records, {rebuilt.events:,} events and"
        f" {rebuilt.customers:,} records of customers are back"
    )

    def show(console: Console) -> None:
        console.print(line)
        if rebuilt.held:
            console.print(f"held for arms of experiments: {', '.join(rebuilt.held)}")
        if rebuilt.lost:
            console.print(f"arms name models that the registry lacks: {', '.join(rebuilt.lost)}")

    answer(document, as_json, show)


def _answer_generation(record: "GenerationRecord", as_json: bool, rest: str) -> None:
    line = f"model {record.model_version} (generation {record.generation}) {rest.format(customers=record.customers)}"
    answer(_document(record), as_json, lambda console: console.print(line))


def _document(record: "GenerationRecord") -> dict[str, Any]:
    return {
        "generation": record.generation,
        "model_version": record.model_version,
        "customers": record.customers,
    }
