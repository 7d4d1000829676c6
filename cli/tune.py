"""``dangol tune``: look for better settings within a budget."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cli.errors import ExitCode
from cli.learning import configuration_of, mapping_of, require, sources_of
from cli.output import answer, plain_table, progress_bars, remarks
from cli.session import Json, session_of
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
from models.errors import InvalidInputError

if TYPE_CHECKING:
    from training.tuning.found import Found
    from training.tuning.tune import Standing


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Learn and publish")(tune)


def tune(
    context: typer.Context,
    source: SourceNames = None,
    mapping: MappingFile = None,
    items: ItemsFile = None,
    configuration: ConfigurationFile = None,
    until: Until = None,
    archive: WithArchive = False,
    customers: CustomersFile = None,
    ranker: RankerName = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Where the search begins.")] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0.01, help="The budget.")] = 30,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="End as well after so many in all.")] = None,
    windows: Annotated[int, typer.Option("--windows", min=1, max=12, help="Label windows that judge.")] = 2,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes that try settings.")] = 1,
    metric: Annotated[str, typer.Option("--metric", help="What is to be high, as in the gate.")] = "ndcg@20",
    study: Annotated[Path | None, typer.Option("--study", dir_okay=False, help="The journal to go on with.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", dir_okay=False, help="The TOML to write.")] = None,
    as_json: Json = False,
) -> None:
    """Look for better settings on validation windows, and write the best down for `dangol train --config`.

    The window that `dangol train` judges by is never looked at. The same command goes on where it ended, or where
    Ctrl-C ended it; without `--study` and `--output`, files lie under `tuning/` of the home.

    Example: `dangol tune purchases.parquet --minutes 20 --jobs 2`, then `dangol train purchases.parquet --config
    .dangol/tuning/best.toml`
    """
    require("tune", "tuning needs Optuna", "optuna", "tomli_w")
    from training.people import people_of
    from training.tuning.task import Inputs, task_of
    from training.tuning.tune import tune as run_tuning

    session = session_of(context)
    people = people_of(session.registry(), first_ids_of(customers))
    chosen = configuration_of(configuration, until=until, ranker=ranker, seed=seed)
    with sources_of(session, source or [], archive) as sources:
        inputs = Inputs(sources, mapping_of(mapping, items), chosen, people, _known(metric), windows)
        with progress_bars(not as_json) as progress:
            task = task_of(inputs, progress)
        journal = study or session.home / "tuning" / f"{task.digest()}.journal"
        with _standing_shown(minutes, not as_json) as watch:
            found = run_tuning(task, journal, minutes=minutes, trials=trials, jobs=jobs, watch=watch)
    target = output or session.home / "tuning" / "best.toml"
    finished = found.first is not None
    if finished:
        found.write(target)
    document = found.document() | {"study": str(journal), "file": str(target) if finished else None}
    answer(document, as_json, lambda console: _show(console, found, journal, target))
    if found.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _known(metric: str) -> str:
    """Check the name of a measure as the gate's settings are checked."""
    from training.config import GateSettings

    try:
        return GateSettings(metrics=(metric,)).metrics[0]
    except ValueError as error:
        raise InvalidInputError("metric", f"{metric!r} is no measure of the gate, such as ndcg@20") from error


@contextmanager
def _standing_shown(minutes: float, wanted: bool) -> Iterator[Callable[["Standing"], None]]:
    """Show how much of the budget is spent, how many trials there were, and the best so far."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = remarks()
    if not (wanted and console.is_terminal):
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("tune", total=minutes * 60)

        def watch(standing: "Standing") -> None:
            best = "" if standing.best is None else f", best {standing.best:.4f}"
            before = "" if standing.first is None else f" ({standing.first:.4f} before)"
            said = f"tune: {standing.trials} trials{best}{before}"
            bars.update(bar, completed=standing.seconds, description=said)

        yield watch


def _show(console: Console, found: "Found", journal: Path, target: Path) -> None:
    """Print the best, what it gained, what mattered, and how to go on."""
    from training.parameters import JOINT

    counts = ", ".join(f"{count} {name}" for name, count in found.trials.items())
    if found.interrupted:
        remarks().print(f"[yellow]interrupted[/yellow]: the same command goes on with {journal}")
    if found.best is None or found.first is None:
        console.print(f"[red]✗[/red] no trial was finished ({counts or 'none begun'})")
        return
    gain = found.best - found.first
    console.print(f"[green]✓[/green] {found.metric} {found.best:.4f}, {gain:+.4f} on {found.first:.4f} ({counts})")
    table = plain_table("setting", "best", "mattered")
    order = sorted(found.settings, key=lambda name: -found.importances.get(name, 0.0))
    for name in order:
        share = f"{found.importances[name]:.0%}" if name in found.importances else ""
        table.add_row(name.replace(JOINT, "."), f"{found.settings[name]:g}", share)
    console.print(table)
    remarks().print(f"[dim]`dangol train … --config {target}` learns with it.[/dim]")
