"""``dangol evaluate``: what other rules would have brought."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli.output import answer, plain_table
from cli.session import Json
from models.errors import InvalidInputError

if TYPE_CHECKING:
    from models.off_policy import Evaluation, LoggedDecision


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Keep the catalogue")(evaluate)


def evaluate(
    off_policy: Annotated[
        Path, typer.Option("--off-policy", exists=True, dir_okay=False, help="Logged decisions, JSON Lines.")
    ],
    places: Annotated[int, typer.Option("--places", min=0, help="Judge the first places only; 0: all.")] = 0,
    as_json: Json = False,
) -> None:
    """Judge rules by decisions that others made, as far as exploration left those to chance.

    Example: `dangol evaluate --off-policy decisions.jsonl --places 1`
    """
    from models.off_policy import evaluate as evaluate_decisions

    evaluation = evaluate_decisions(list(read_decisions(off_policy)), places)
    answer(asdict(evaluation), as_json, lambda console: _show(console, evaluation))


def read_decisions(path: Path) -> "Iterator[LoggedDecision]":
    """Read decisions, one JSON object a line. InvalidInputError names file, line and field."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _decision_of(f"{path}: line {number}", line)


def _decision_of(place: str, line: str) -> "LoggedDecision":
    from models.off_policy import LoggedDecision

    try:
        record = json.loads(line)
    except ValueError as error:
        raise InvalidInputError(place, f"is not JSON ({error})") from error
    if not isinstance(record, dict):
        raise InvalidInputError(place, "is not a JSON object")
    decision = LoggedDecision(
        _texts(record, "offers", place),
        _numbers(record, "selection_probabilities", place),
        _numbers(record, "rewards", place),
        _texts(record, "choices", place),
    )
    if not len(decision.offers) == len(decision.probabilities) == len(decision.rewards):
        raise InvalidInputError(place, "has not as many selection_probabilities and rewards as offers")
    if any(not 0 < probability <= 1 for probability in decision.probabilities):
        raise InvalidInputError(place, "has selection_probabilities that are not above 0 and at most 1")
    return decision


def _texts(record: dict[str, Any], name: str, place: str) -> tuple[str, ...]:
    values = record.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidInputError(place, f"has no list of texts as {name}")
    return tuple(values)


def _numbers(record: dict[str, Any], name: str, place: str) -> tuple[float, ...]:
    values = record.get(name)
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise InvalidInputError(place, f"has no list of numbers as {name}")
    return tuple(map(float, values))


def _show(console: Console, evaluation: "Evaluation") -> None:
    table = plain_table("reward of a slate", "mean", "95 % between")
    for name, value in (
        ("as it was", evaluation.logged),
        ("as it would be, IPS", evaluation.ips),
        ("as it would be, SNIPS", evaluation.snips),
    ):
        table.add_row(name, f"{value.estimate:.4g}", f"{value.low:.4g} … {value.high:.4g}")
    console.print(table)
    console.print(
        f"{evaluation.decisions:,} decisions, of which the last of {evaluation.places:,} places weighs as "
        f"{evaluation.effective[-1]:,.0f}."
    )
