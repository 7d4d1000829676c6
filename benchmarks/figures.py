"""Keeps the newest figures in docs/figures.jsonl and quotes them: all in docs/figures.md, bound ones in the README.

A benchmark that was not run again keeps the figures that it had.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from benchmarks.report import RESULTS, Figure

KEPT = Path("docs/figures.jsonl")
ALL = Path("docs/figures.md")
README = Path("README.md")
START = "<!-- figures:start -->"
END = "<!-- figures:end -->"


def newest_figures(paths: Iterable[Path]) -> list[Figure]:
    """Read the newest line of each name; benchmarks in the order of their names, figures as they first appeared."""
    figures: dict[str, Figure] = {}
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            figure = Figure(**json.loads(line))
            figures[figure.name] = figure
    return sorted(figures.values(), key=benchmark_of)


def benchmark_of(figure: Figure) -> str:
    """Name the benchmark that a figure belongs to."""
    return figure.name.partition(".")[0]


def summary_of(figures: Sequence[Figure]) -> list[Figure]:
    """Give what a floor binds, the figures of a benchmark that must be nought in one."""
    summary = []
    for benchmark, group in groupby(figures, benchmark_of):
        bound = [figure for figure in group if figure.floor is not None]
        noughts = [figure for figure in bound if figure.floor == 0]
        if len(noughts) > 1:
            failures = sum(figure.value for figure in noughts)
            summary.append(Figure(f"{benchmark}.*", failures, f"in {len(noughts)} counts of failures", floor=0, goal=0))
        summary += bound if len(noughts) < 2 else [figure for figure in bound if figure.floor != 0]
    return summary


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


def keep(figures: Iterable[Figure]) -> None:
    """Write the figures down for the next time, one JSON line each."""
    lines = [json.dumps(asdict(figure), ensure_ascii=False) + "\n" for figure in figures]
    KEPT.write_text("".join(lines), encoding="utf-8")


def quote(page: Path, figures: Iterable[Figure]) -> None:
    """Rewrite the table of a page."""
    page.write_text(with_table(page.read_text(encoding="utf-8"), table_of(figures)), encoding="utf-8")


def main() -> int:
    """Take over what was measured and rewrite both tables; exit code 1 when nothing was measured."""
    measured = sorted(RESULTS.glob("*.jsonl"))
    if not measured:
        print(f"nothing in {RESULTS}/: run make bench first", file=sys.stderr)
        return 1
    figures = newest_figures([*filter(Path.exists, [KEPT]), *measured])
    keep(figures)
    quote(ALL, figures)
    quote(README, summary_of(figures))
    print(f"{len(figures)} figures in {ALL}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
