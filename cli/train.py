"""``dangol train``: learn from files of events."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.learning import configuration_of, mapping_of, require, sources_of
from cli.output import answer, progress_bars, remarks
from cli.session import Json, Session, session_of
from cli.training_inputs import (
    ConfigurationFile,
    CustomersFile,
    ItemsFile,
    MappingFile,
    RankerName,
    SourceNames,
    Until,
    WithArchive,
    first_ids_of,
)

if TYPE_CHECKING:
    from cli.promotion import Passage
    from training.config import ColumnMapping, TrainingConfiguration
    from training.job import TrainingResult


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Learn and publish")(train)


def train(
    context: typer.Context,
    source: SourceNames = None,
    mapping: MappingFile = None,
    items: ItemsFile = None,
    configuration: ConfigurationFile = None,
    until: Until = None,
    archive: WithArchive = False,
    customers: CustomersFile = None,
    ranker: RankerName = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Same input and seed, same model.")] = None,
    promote: Annotated[bool, typer.Option(help="Make it the current model, if the gate lets it through.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Make it current whatever the gate says.")] = False,
    mlflow: Annotated[
        str, typer.Option("--mlflow", help="Log the run there: a server, `sqlite:///…`, a folder.", metavar="URI")
    ] = "",
    experiment: Annotated[str, typer.Option("--experiment", help="The experiment in MLflow.")] = "dangol",
    as_json: Json = False,
) -> None:
    """Train a model from events, measure it, and put it into the registry.

    It becomes current if it is better than the trivial lists and the current model, beyond noise, and sound; the first
    model only has to be no worse. Rows that cannot be used are counted, and a sample of them is kept under `refused/`.

    Examples: `dangol train purchases.parquet --until 2017-12-01`, `dangol train purchases.parquet --archive`
    """
    session = session_of(context)
    if mlflow:
        require("mlflow", "logging runs needs MLflow", "mlflow")
    columns, links = mapping_of(mapping, items), first_ids_of(customers)
    chosen = configuration_of(configuration, until=until, ranker=ranker, seed=seed)
    with sources_of(session, source or [], archive) as sources:
        asks = promote or force
        result, passage = _learn(session, sources, columns, chosen, links, asks=asks, force=force, bars=not as_json)
    refused_file = _keep_refused(session, result)
    run_id = _logged(session, result.manifest.model_version, mlflow, experiment) if mlflow else None
    _tell(result, refused_file, passage, run_id, as_json)


def _learn(
    session: Session,
    sources: list[str],
    columns: "ColumnMapping",
    configuration: "TrainingConfiguration",
    links: dict[str, str],
    *,
    asks: bool,
    force: bool,
    bars: bool,
) -> "tuple[TrainingResult, Passage | None]":
    """Train, and ask the gate if that is wanted."""
    from cli.promotion import pass_gate, refit_from
    from training.job import train as run_training

    registry = session.registry()
    with progress_bars(bars) as progress:
        result = run_training(sources, columns, configuration, registry, progress, links)
        if not asks:
            return result, None
        refit = refit_from(registry, sources, columns, configuration, progress, links)
        version = result.manifest.model_version
        passage = pass_gate(registry, version, configuration.gate, by="dangol train", force=force, refit=refit)
    return result, passage


def _keep_refused(session: Session, result: "TrainingResult") -> Path | None:
    """Write the sample of refused rows, if there were any, and give its file."""
    if not result.refused.total:
        return None
    path = session.home / "refused" / f"{result.manifest.model_version}.jsonl"
    result.refused.write(path)
    return path


def _logged(session: Session, version: str, uri: str, experiment: str) -> str:
    """Log the model and its report, and give the id of the run."""
    from cli.model_page import page_of

    # MLflow tells its makers what it is used for, unless somebody says otherwise before it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from training.tracking import log_run

    registry = session.registry()
    return log_run(registry.open(version), registry.verdict(version), page_of(session, version, None), uri, experiment)


def _tell(
    result: "TrainingResult", refused_file: Path | None, passage: "Passage | None", run_id: str | None, as_json: bool
) -> None:
    from cli.promotion import show_passage
    from cli.training_report import document_of_training, show_training

    def show_people(console: Console) -> None:
        show_training(console, result, refused_file)
        if run_id is not None:
            console.print(f"logged as run {run_id}")
        if passage is not None:
            show_passage(console, passage)
            remarks().print(f"[dim]{_next_step(passage, result.manifest.model_version)}[/dim]")

    document = document_of_training(result, refused_file) | {"gate": passage.document() if passage else None}
    answer(document | ({"mlflow_run": run_id} if run_id else {}), as_json, show_people)


def _next_step(passage: "Passage", version: str) -> str:
    if passage.promoted:
        return "`dangol publish` brings it into Redis."
    return f"`dangol models promote {version} --force` promotes it all the same."
