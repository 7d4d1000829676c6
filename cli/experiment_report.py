"""Shows what came of an experiment."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console

from cli.money import money_text
from cli.output import plain_table
from models.comparison import Difference, Interval
from models.events import CLICK, PURCHASE, Event
from models.experiment_report import (
    InterleavedReport,
    Outcome,
    SplitReport,
    report_interleaved,
    report_split,
)
from models.experiments import Experiment, ExperimentMode
from models.offers import Money


def document_of_report(
    experiment: Experiment, told: Iterable[Event], event_type: str
) -> tuple[Mapping[str, Any], Callable[[Console], None]]:
    """Make the report, for machines and as what shows it to people."""
    head = {"experiment_id": experiment.experiment_id, "mode": experiment.mode.value}
    if experiment.mode is ExperimentMode.INTERLEAVED:
        counted = event_type or CLICK
        preferred = report_interleaved(experiment, told, counted)
        document = head | {"event": counted} | asdict(preferred)
        return document, lambda console: _show_interleaved(console, experiment, preferred, counted)
    counted = event_type or PURCHASE
    split = report_split(experiment, told, counted)
    document = head | {"event": counted} | asdict(split)
    return document, lambda console: _show_split(console, experiment, split, counted)


def _show_split(console: Console, experiment: Experiment, split: SplitReport, counted: str) -> None:
    table = plain_table("arm", "customers", "figure", "counted", "mean", "difference", "95 % between", "lift", "p")
    for arm in split.arms:
        for outcome in arm.outcomes:
            first = outcome is arm.outcomes[0]
            table.add_row(arm.arm if first else "", f"{arm.customers:,}" if first else "", *_row(outcome, split))
    console.print(table)
    for tried in split.arms:
        if tried.model_version:
            console.print(f"The slates of {tried.arm} are filled by model {tried.model_version}.")
    control = experiment.arms[0].arm
    console.print(f"Every arm is compared with {control}; what counts is {counted}, from the first exposure on.")
    if split.is_suspicious:
        console.print(
            f"[bold red]The sizes of the arms are not what their weights let expect[/bold red] "
            f"(chi-square, p = {split.sample_ratio:.2g}): something loses customers of one arm. Do not trust the rest."
        )
    if split.crossed:
        console.print(f"{split.crossed:,} customers met several arms, as the weights were changed, and are left out.")
    if split.other_currencies:
        console.print(f"{split.other_currencies:,} events in other currencies than {split.currency} are left out.")


def _row(outcome: Outcome, split: SplitReport) -> tuple[str, ...]:
    currency = split.currency if outcome.figure == "revenue" else ""
    name = f"revenue, {currency}" if currency else outcome.figure
    counted = "echoing the answer" if outcome.attributed else "all"
    mean = _amount(outcome.sample.mean, currency) if outcome.sample.count else ""
    return name, counted, mean, *_difference_cells(outcome.difference, currency)


def _difference_cells(difference: Difference | None, currency: str) -> tuple[str, str, str, str]:
    if difference is None:
        return "", "", "", ""
    absolute, relative = difference.absolute, difference.relative
    limits = f"{_amount(absolute.low, currency)} … {_amount(absolute.high, currency)}"
    lift = _lift(relative) if relative is not None else ""
    return _amount(absolute.estimate, currency), limits, lift, _probability(difference.p_value)


def _lift(relative: Interval) -> str:
    return f"{relative.estimate:+.1%} ({relative.low:+.1%} … {relative.high:+.1%})"


def _amount(mean: float, currency: str) -> str:
    return money_text(Money(round(mean), currency)) if currency else f"{mean:.2%}"


def _probability(p_value: float) -> str:
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def _show_interleaved(console: Console, experiment: Experiment, report: InterleavedReport, counted: str) -> None:
    first, second = (arm.arm for arm in experiment.arms)
    table = plain_table("arm", f"{counted} events", "customers who prefer it")
    for arm, preferred in ((first, report.losses), (second, report.wins)):
        table.add_row(arm, f"{report.credits[arm]:,}", f"{preferred:,}")
    console.print(table)
    share = report.preference
    console.print(
        f"Of {report.customers:,} customers {report.ties:,} are undecided; of the others {share.estimate:.1%} prefer "
        f"{second} (95 %: {share.low:.1%} … {share.high:.1%}; sign test, p {_probability(report.p_value)})."
    )
