"""Quotes the newest figures of ``bench-results/`` in the README, between the two marks."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.report import RESULTS, Figure

README = Path("README.md")
START = "<!-- figures:start -->"
END = "<!-- figures:end -->"


def newest_figures(folder: Path) -> list[Figure]:
    """Read the newest line of each name, in the order of the files' names and of first appearance."""
    figures: dict[str, Figure] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            figure = Figure(**json.loads(line))
            figures[figure.name] = figure
    return list(figures.values())


def table_of(figures: Iterable[Figure]) -> str:
    """Lay figures out as a Markdown table."""
    rows = ["| figure | value | against | ratio | floor | goal |", "| --- | --- | --- | --- | --- | --- |"]
    rows += [
        f"| `{figure.name}` | {number(figure.value)} {figure.unit} | {figure.against or '-'} "
        f"| {number(figure.ratio)} | {bound(figure, figure.floor)} | {bound(figure, figure.goal)} |"
        for figure in figures
    ]
    return "\n".join(rows)


def bound(figure: Figure, limit: float | None) -> str:
    """Write a floor or goal, and whether it is reached."""
    if limit is None:
        return "-"
    return f"{number(limit)} {'✓' if figure.reaches(limit) else '✗'}"


def number(value: float | None) -> str:
    """Write a number with three significant digits, whole ones in full."""
    if value is None:
        return "-"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def with_table(page: str, table: str) -> str:
    """Put a table between the marks of a page. ValueError when a mark is missing."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"the page lacks {START} or {END}")
    return f"{before}{START}\n{table}\n{END}{after}"


def main() -> int:
    """Rewrite the README's table; exit code 1 when nothing was measured."""
    figures = newest_figures(RESULTS)
    if not figures:
        print(f"nothing in {RESULTS}/: run make bench first", file=sys.stderr)
        return 1
    README.write_text(with_table(README.read_text(encoding="utf-8"), table_of(figures)), encoding="utf-8")
    print(f"{len(figures)} figures in {README}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
