"""Shows in what two models differ."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from cli.output import plain_table, written

_SCOPES = {"all": "", "new-to-customer": "new to the customer: "}


def show_difference(console: Console, found: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Print a difference that :func:`training.differences.difference` found; items by their ``names``, where known."""
    first, second = found["versions"]
    _show_pairs(console, "data", found["data"], first, second)
    _show_pairs(console, "configuration", found["configuration"], first, second)
    if first == second:
        console.print("The two do not differ.")
        return
    _show_metrics(console, found)
    _show_sources(console, found["sources"], first, second)
    _show_lists(console, found["lists"])
    for kind, told in (("new", found["items"]["new"]), ("lost", found["items"]["lost"])):
        if told["count"]:
            named = ", ".join(names.get(item, item) for item in told["first"])
            more = " …" if told["count"] > len(told["first"]) else ""
            console.print(f"{told['count']:,} {kind} items: {named}{more}")


def _show_pairs(console: Console, title: str, pairs: Mapping[str, Any], first: str, second: str) -> None:
    if not pairs:
        return
    table = plain_table(title, first, second)
    for name, pair in pairs.items():
        table.add_row(name.replace("_", " ") if title == "data" else name, *(written(value) for value in pair))
    console.print(table)


def _show_metrics(console: Console, found: Mapping[str, Any]) -> None:
    if not found["metrics"]:
        return
    table = plain_table("measure", *found["versions"], "paired difference", "95 %", "chance")
    for entry in found["metrics"]:
        told = ("", "", "")
        if "difference" in entry:
            low, high = entry["interval"]
            colour = "green" if low > 0 else "red" if high < 0 else "dim"
            chance = "< 0.001" if entry["chance"] < 0.001 else f"{entry['chance']:.3f}"
            told = (f"[{colour}]{entry['difference']:+.4f}[/{colour}]", f"{low:+.4f} to {high:+.4f}", chance)
        name = _SCOPES.get(entry["scope"], f"{entry['scope']}: ") + entry["metric"]
        table.add_row(name, *(written(value) for value in entry["values"]), *told)
    console.print(table)
    how = f"same customers and purchases ({found['compared']})" if found["compared"] else "not comparable in pairs"
    console.print(f"[dim]Measures: each in its own window. Differences: {how}.[/dim]")


def _show_sources(console: Console, sources: Mapping[str, Any], first: str, second: str) -> None:
    if not sources:
        return
    table = plain_table("source: places, bought", first, second)
    for name, told in sources.items():
        both = zip(told["listed"], told["bought"], strict=True)
        table.add_row(name, *(f"{listed:.0%}, {bought:.0%}" for listed, bought in both))
    console.print(table)


def _show_lists(console: Console, lists: Mapping[str, Any]) -> None:
    if lists["customers"]:
        console.print(
            f"{lists['customers']:,} customers of both: {lists['overlap']:.0%} of the first {lists['places']} are the "
            f"same (a tenth of them share {lists['least_tenth']:.0%} or less), "
            f"{lists['same_first_item']:.0%} see the same item first"
        )
