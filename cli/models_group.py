"""``dangol models``: the registry of trained models."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli import publish
from cli.model_page import names_of, page_of
from cli.output import answer, people, plain_table, print_json, progress_bars, written
from cli.publish import RedisUrl, Tenant
from cli.session import Json, session_of

if TYPE_CHECKING:
    from models.manifest import Manifest

Version = Annotated[str, typer.Argument(help="The model version; `current` for the one promoted.", metavar="VERSION")]
ItemNames = Annotated[
    Path | None,
    typer.Option("--names", exists=True, dir_okay=False, help="A catalogue export, or columns of ids and names."),
]
CURRENT = "current"

group = typer.Typer(help="List, compare, promote and prune trained models.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(group, name="models", rich_help_panel="Learn and publish")


@group.command("list")
def list_models(context: typer.Context, as_json: Json = False) -> None:
    """List the models, newest data first.

    Example: `dangol models list`
    """
    registry = session_of(context).registry()
    current = registry.current()
    manifests = registry.manifests()
    if as_json:
        for manifest in manifests:
            print_json(_summary(manifest, current))
        return
    if not manifests:
        people().print(f"There are no models under {registry.root}: `dangol train` makes one.")
        return
    table = plain_table("version", "", "data until", "customers", "items", "interactions")
    for manifest in manifests:
        counts = (f"{manifest.counts.get(name, 0):,}" for name in ("customers", "items", "interactions"))
        mark = "current" if manifest.model_version == current else ""
        table.add_row(manifest.model_version, mark, f"{manifest.last_event_time:%Y-%m-%d %H:%M}", *counts)
    people().print(table)


def _summary(manifest: "Manifest", current: str | None) -> dict[str, Any]:
    return {
        "model_version": manifest.model_version,
        "current": manifest.model_version == current,
        "first_event_time": manifest.first_event_time.isoformat(),
        "last_event_time": manifest.last_event_time.isoformat(),
        "counts": dict(manifest.counts),
        "size": sum(entry.size for entry in manifest.files.values()),
    }


@group.command()
def show(context: typer.Context, version: Version = CURRENT, as_json: Json = False) -> None:
    """Show what a model was learned from, how, how well it does, and what the gate said of it last.

    Example: `dangol models show current`
    """
    manifest = _manifest(context, version)
    registry = session_of(context).registry()
    verdict = registry.verdict(manifest.model_version)
    details = {"configuration": manifest.configuration, "metrics": manifest.metrics, "gate": verdict}
    document = _summary(manifest, registry.current()) | details

    def show_people(console: Console) -> None:
        from cli.promotion import show_verdict
        from cli.training_report import show_evaluation

        table = plain_table("what", "value")
        told = {name: part for name, part in document.items() if name not in ("metrics", "gate")}
        for name, value in _leaves(told):
            table.add_row(name, written(value))
        console.print(table)
        show_evaluation(console, manifest)
        show_verdict(console, verdict)

    answer(document, as_json, show_people)


@group.command()
def diff(
    context: typer.Context,
    first: Annotated[str, typer.Argument(help="One version.", metavar="FIRST")],
    second: Annotated[str, typer.Argument(help="The other; `current` unless given.", metavar="SECOND")] = CURRENT,
    names: ItemNames = None,
    as_json: Json = False,
) -> None:
    """Show in what two models differ: data, configuration, measures, sources, and what customers see of it.

    Measures are compared in pairs where both models' lists for the same purchases are known.

    Example: `dangol models diff 20171130-0a1b2c3d4e5f current`
    """
    from cli.models_diff import show_difference
    from training.differences import difference

    session = session_of(context)
    registry = session.registry()
    one, other = (registry.open(_manifest(context, version).model_version) for version in (first, second))
    found = difference(one, other, registry.verdict(other.manifest.model_version))
    answer(found, as_json, lambda console: show_difference(console, found, names_of(session, names)))


@group.command()
def promote(
    context: typer.Context,
    version: Version,
    configuration: Annotated[
        Path | None,
        typer.Option("--config", "--configuration", "-c", exists=True, dir_okay=False, help="TOML, for its `[gate]`."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Whatever the gate says; the history will tell.")] = False,
    as_json: Json = False,
) -> None:
    """Name the model that is to be published and served, if the gate lets it through.

    Example: `dangol models promote 20171130-0a1b2c3d4e5f`, then `dangol publish`
    """
    from cli.promotion import pass_gate, show_passage
    from models.errors import PreconditionError
    from training.config import TrainingConfiguration, load_configuration

    gate = (load_configuration(configuration) if configuration else TrainingConfiguration()).gate
    registry = session_of(context).registry()
    passage = pass_gate(registry, version, gate, by="dangol models promote", force=force)
    document = {"current": registry.current(), "gate": passage.document()}
    answer(document, as_json, lambda console: show_passage(console, passage))
    if not passage.promoted:
        failed = ", ".join(check.name for check in passage.verdict.failed)
        raise PreconditionError(f"the gate refused {version} ({failed}); --force promotes it all the same")


@group.command()
def report(
    context: typer.Context,
    version: Version = CURRENT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; under `reports/` of the home unless given.")
    ] = None,
    names: ItemNames = None,
    as_json: Json = False,
) -> None:
    """Write one page about a model: how good, beside what, how sure, for whom; HTML with everything in it.

    Example: `dangol models report current --names products.csv`
    """
    from cli.erasure_work import REPORTS

    session = session_of(context)
    found = _manifest(context, version).model_version
    path = output or session.home / REPORTS / f"{found}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page_of(session, found, names), encoding="utf-8")
    answer({"model_version": found, "file": str(path)}, as_json, lambda console: console.print(f"written to {path}"))


@group.command()
def rollback(context: typer.Context, redis_url: RedisUrl = "", tenant: Tenant = "", as_json: Json = False) -> None:
    """Serve again what was served before: the same as `dangol rollback`.

    Example: `dangol models rollback`
    """
    publish.rollback(context, redis_url, tenant, as_json)


@group.command()
def generations(context: typer.Context, redis_url: RedisUrl = "", tenant: Tenant = "", as_json: Json = False) -> None:
    """List what Redis holds of models, newest first: what is served, what is held for experiments, what expires.

    Example: `dangol models generations`
    """
    from cli import publishing

    records = publishing.generations(session_of(context), publishing.RedisTarget(redis_url, tenant))
    if as_json:
        for record in records:
            print_json(json.loads(record.to_json()))
        return
    table = plain_table("generation", "version", "state", "customers", "held since (UTC)", "gone at (UTC)")
    for record in records:
        times = (f"{time:%Y-%m-%d %H:%M}" if time else "" for time in (record.hold_time, record.expire_time))
        row = (str(record.generation), record.model_version, record.state.value, f"{record.customers:,}", *times)
        table.add_row(*row)
    people().print(table if records else "Redis holds no model: `dangol publish` brings one.")


@group.command()
def release(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="The model version.", metavar="VERSION")],
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Let a model go that `dangol publish --hold` keeps: unless it is served, it expires in a day.

    Arms of experiments that still name it are answered from what is served, and say so.

    Example: `dangol models release 20171130-0a1b2c3d4e5f`
    """
    from cli import publishing

    with progress_bars(not as_json) as progress:
        record = publishing.release(session_of(context), publishing.RedisTarget(redis_url, tenant), version, progress)
    document = {"generation": record.generation, "model_version": version}
    answer(document, as_json, lambda console: console.print(f"model {version} is held no longer"))


@group.command()
def prune(
    context: typer.Context,
    keep: Annotated[int, typer.Option("--keep", "-k", min=1, help="How many of the newest to keep.")] = 5,
    as_json: Json = False,
) -> None:
    """Delete old models; the current one and the one before it always stay.

    Example: `dangol models prune --keep 3`
    """
    deleted = session_of(context).registry().prune(keep)
    line = f"deleted {', '.join(deleted)}" if deleted else "nothing to delete"
    answer({"deleted": deleted}, as_json, lambda console: console.print(line))


def _manifest(context: typer.Context, version: str) -> "Manifest":
    from models.errors import NotFoundError

    registry = session_of(context).registry()
    if version == CURRENT:
        current = registry.current()
        if current is None:
            raise NotFoundError(f"no model under {registry.root} is current: `dangol train --promote` makes one")
        version = current
    return registry.manifest(version)


def _leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value):
            for entry in value:
                yield from _leaves({_name_of(entry): entry.get("values", entry)}, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _name_of(entry: Mapping[str, Any]) -> str:
    """Name one entry of a list by what it says in words."""
    return ".".join(value for value in entry.values() if isinstance(value, str))
