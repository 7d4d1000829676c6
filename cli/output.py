"""What commands print: for people with colour and progress bars, for machines as JSON, and nothing in between."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from models.progress import Progress as ProgressPort
from models.progress import SilentProgress, Stage

PIPE_WIDTH = 200


def people() -> Console:
    """Give the console on stdout, made anew so that tests and pipes see their own stream."""
    return _console(stderr=False)


def remarks() -> Console:
    """Give the console on stderr: for what is said while a command works."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    on_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    # A pipe has no width; tables into it are not broken or cut.
    return Console(stderr=stderr, highlight=False, width=None if on_terminal else PIPE_WIDTH)


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on one line, so that lists of them are JSON Lines."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")


def answer(document: Mapping[str, Any], as_json: bool, show: Callable[[Console], None]) -> None:
    """Print the document for machines, or let ``show`` print it for people."""
    if as_json:
        print_json(document)
    else:
        show(people())


def plain_table(*columns: str, title: str = "") -> Table:
    """Start a table in the product's one style."""
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def written(value: object) -> str:
    """Write a value of a setting or a measure for people."""
    match value:
        case None:
            return "none"
        case float():
            return f"{value:.4g}"
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case _:
            return str(value)


@contextmanager
def progress_bars(wanted: bool = True) -> Iterator[ProgressPort]:
    """Show progress on stderr when it is a terminal and somebody wants to see it; be silent otherwise."""
    console = remarks()
    if not (wanted and console.is_terminal):
        yield SilentProgress()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # What goes into a file or a pipe must go there, and not above the bars.
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bars:
        yield _Bars(bars)


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def stage(self, name: str, total: int | None) -> AbstractContextManager[Stage]:
        return self._stage(name, total)

    @contextmanager
    def _stage(self, name: str, total: int | None) -> Iterator[Stage]:
        task = self._bars.add_task(name, total=total)
        try:
            yield _Bar(self._bars, task)
        finally:
            self._bars.remove_task(task)


class _Bar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, count: int = 1) -> None:
        self._bars.advance(self._task, count)
