"""How a benchmark states a figure: one JSON line, the same for all of them.

The first word of a figure's name is the benchmark it belongs to (``train.wall-time`` of ``benchmarks.bench_train``)
and names the file under ``bench-results/`` that the line is appended to. ``benchmarks.figures`` quotes the newest line
of each name in the README.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path("bench-results")


@dataclass(frozen=True, slots=True)
class Figure:
    """Holds one measured figure.

    ``against`` says what it was measured against in the same run, with that value and its unit; ``ratio`` is our value
    over that one. ``floor`` must hold and ``goal`` is what is wanted: both bound ``ratio`` where there is one, else
    ``value``. Larger is better when the goal lies above the floor; otherwise smaller is better, as with failed calls.
    """

    name: str
    value: float
    unit: str
    against: str | None = None
    ratio: float | None = None
    floor: float | None = None
    goal: float | None = None

    def reaches(self, bound: float | None) -> bool | None:
        """Tell whether the figure is as good as ``bound``; None where there is no bound."""
        if bound is None:
            return None
        measured = self.value if self.ratio is None else self.ratio
        larger_is_better = self.goal is not None and self.floor is not None and self.goal > self.floor
        return measured >= bound if larger_is_better else measured <= bound


def report(
    name: str,
    value: float,
    unit: str,
    *,
    against: str | None = None,
    ratio: float | None = None,
    floor: float | None = None,
    goal: float | None = None,
) -> Figure:
    """Print a figure as a JSON line, keep the line under ``bench-results/`` and give the figure back."""
    figure = Figure(name, value, unit, against, ratio, floor, goal)
    line = json.dumps(asdict(figure), ensure_ascii=False)
    print(line, flush=True)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name.partition('.')[0]}.jsonl").open("a", encoding="utf-8") as results:
        results.write(line + "\n")
    return figure
