"""Shows what a training run left: counts, what was refused, and how the lists did beside the trivial ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.output import plain_table
from models.manifest import Manifest
from training.evaluation import OURS, OWN_FREQUENCY, POPULAR_NOW, Comparison, MetricRow, comparisons_of, rows_of
from training.job import TrainingResult
from training.scopes import ALL, NEW_TO_CUSTOMER

_LISTS = {
    OURS: "[bold]Dangol[/bold]",
    OWN_FREQUENCY: "what the customer bought most often",
    POPULAR_NOW: "what sells most now",
}
_MEASURES = (
    ("ndcg@20", "NDCG@20"),
    ("recall@20", "recall@20"),
    ("mrr", "MRR"),
    ("revenue-share@20", "revenue in the top 20"),
)


def document_of_training(result: TrainingResult, refused_file: Path | None) -> dict[str, Any]:
    """Describe a run for machines."""
    manifest = result.manifest
    return {
        "model_version": manifest.model_version,
        "first_event_time": manifest.first_event_time.isoformat(),
        "last_event_time": manifest.last_event_time.isoformat(),
        "counts": dict(manifest.counts),
        "refused": dict(result.refused.counts),
        "refused_file": str(refused_file) if refused_file else None,
        "metrics": manifest.metrics,
    }


def show_training(console: Console, result: TrainingResult, refused_file: Path | None) -> None:
    """Print a run for people."""
    manifest, counts = result.manifest, result.manifest.counts
    console.print(
        f"[green]✓[/green] model [bold]{manifest.model_version}[/bold] from {counts.get('events', 0):,} events of "
        f"{counts.get('customers', 0):,} customers and {counts.get('items', 0):,} items, "
        f"{manifest.first_event_time:%Y-%m-%d} to {manifest.last_event_time:%Y-%m-%d}"
    )
    show_refused(console, result.refused.counts, refused_file)
    show_evaluation(console, manifest)


def show_refused(console: Console, counts: Mapping[str, int], refused_file: Path | None) -> None:
    """Say how many rows could not be used, and why."""
    if refused_file is None:
        return
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    console.print(f"[yellow]{sum(counts.values()):,} rows refused[/yellow]: {reasons} (see {refused_file})")


def show_evaluation(console: Console, manifest: Manifest) -> None:
    """Print the lists beside the trivial ones, for all items and for those new to the customer."""
    evaluation = manifest.metrics.get("evaluation", {})
    rows = {(row.lists, row.scope): row for row in rows_of(evaluation)}
    if not rows:
        console.print("[dim]There was too little data to evaluate the model.[/dim]")
        return
    window = evaluation["window"]
    title = (
        f"\nLists against what {evaluation['customers_evaluated']:,} customers bought "
        f"from {window['first_time'][:10]} to {window['stop_time'][:10]}"
    )
    table = plain_table("lists of", *(name for _, name in _MEASURES), "new items: NDCG@20", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for lists, name in _LISTS.items():
        row = rows.get((lists, ALL))
        if row is not None:
            new = rows.get((lists, NEW_TO_CUSTOMER))
            table.add_row(name, *(_value(row, key) for key, _ in _MEASURES), _value(new, "ndcg@20"))
    console.print(table)
    for comparison in comparisons_of(evaluation):
        if (comparison.scope, comparison.metric) == (ALL, "ndcg@20"):
            console.print(f"[dim]{_compared(comparison)}[/dim]")


def _compared(comparison: Comparison) -> str:
    low, high = comparison.interval
    clear = "" if low > 0 or high < 0 else ", which may be chance"
    return (
        f"NDCG@20 {comparison.difference:+.3f} (95 %: {low:+.3f} to {high:+.3f}) "
        f"against {_LISTS.get(comparison.against, comparison.against)}{clear}"
    )


def _value(row: MetricRow | None, key: str) -> str:
    return f"{row.values.get(key, 0.0):.3f}" if row is not None else ""
