"""``dangol train``: learn from files of events."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.learning import configuration_of, mapping_of, sources_of
from cli.output import answer, progress_bars, remarks
from cli.session import Json, session_of

if TYPE_CHECKING:
    from cli.promotion import Passage


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Learn and publish")(train)


def train(
    context: typer.Context,
    source: Annotated[
        list[str] | None,
        typer.Argument(help="Parquet, CSV or JSON Lines: files, globs or folders.", metavar="SOURCE..."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option("--mapping", "-m", exists=True, dir_okay=False, help="TOML: which column means what.")
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option(
            "--items", exists=True, dir_okay=False, help="A table of items: category, brand, name and the like."
        ),
    ] = None,
    configuration: Annotated[
        Path | None,
        typer.Option("--config", "--configuration", "-c", exists=True, dir_okay=False, help="TOML: how to learn."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", help="Learn from what is before this day (UTC) only.")
    ] = None,
    archive: Annotated[
        bool, typer.Option("--archive", help="Learn from the archive of recorded events, besides the sources.")
    ] = False,
    customers: Annotated[
        Path | None,
        typer.Option("--customers", exists=True, dir_okay=False, help="From `dangol customers export`: who is one."),
    ] = None,
    ranker: Annotated[
        str | None, typer.Option("--ranker", help="`learned` (trees), `blend`, or `auto`: trees where the data allow.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Same input and seed, same model.")] = None,
    promote: Annotated[bool, typer.Option(help="Make it the current model, if the gate lets it through.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Make it current whatever the gate says.")] = False,
    as_json: Json = False,
) -> None:
    """Train a model from events, measure it, and put it into the registry.

    It becomes current if it is better than the trivial lists and the current model, beyond noise, and sound; the first
    model only has to be no worse. Rows that cannot be used are counted, and a sample of them is kept under `refused/`.

    Examples: `dangol train purchases.parquet --until 2017-12-01`, `dangol train purchases.parquet --archive`
    """
    from cli.promotion import pass_gate, refit_from, show_passage
    from cli.training_report import document_of_training, show_training
    from training.job import train as run_training

    registry = session_of(context).registry()
    columns = mapping_of(mapping, items)
    chosen = configuration_of(configuration, until=until, ranker=ranker, seed=seed)
    passage = None
    with sources_of(session_of(context), source or [], archive) as sources, progress_bars(not as_json) as progress:
        links = _linked(customers)
        result = run_training(sources, columns, chosen, registry, progress, links)
        if promote or force:
            found = result.manifest.model_version
            refit = refit_from(registry, sources, columns, chosen, progress, links)
            passage = pass_gate(registry, found, chosen.gate, by="dangol train", force=force, refit=refit)
    version = result.manifest.model_version
    refused_file = None
    if result.refused.total:
        refused_file = session_of(context).home / "refused" / f"{version}.jsonl"
        result.refused.write(refused_file)

    def show_people(console: Console) -> None:
        show_training(console, result, refused_file)
        if passage is not None:
            show_passage(console, passage)
            remarks().print(f"[dim]{_next_step(passage, version)}[/dim]")

    document = document_of_training(result, refused_file)
    answer(document | {"gate": passage.document() if passage else None}, as_json, show_people)


def _next_step(passage: "Passage", version: str) -> str:
    if passage.promoted:
        return "`dangol publish` brings it into Redis."
    return f"`dangol models promote {version} --force` promotes it all the same."


def _linked(path: Path | None) -> dict[str, str]:
    """Give for each linked id the one that its customer is learned as."""
    from models.identities import first_ids
    from service.store.customer_exports import read_links

    return {} if path is None else first_ids(read_links(path))
