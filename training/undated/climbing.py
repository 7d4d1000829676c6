"""Tuning on a small grid: one setting at a time, as long as it gets better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Point = Mapping[str, float]
Grid = Mapping[str, Sequence[float]]


@dataclass(slots=True)
class Climb:
    """Looks for the point of a grid with the highest quality, from a start that need not lie on it.

    ``tried`` keeps every quality that was measured, in that order. No more than ``budget`` points are measured.
    """

    quality: Callable[[Point], float]
    grid: Grid
    budget: int
    tried: dict[tuple[float, ...], float] = field(default_factory=dict)

    def best_from(self, start: Point) -> dict[str, float]:
        """Change one setting at a time to its neighbours on the grid until no change helps or the budget is spent."""
        best = dict(start)
        reached = self._measure(best)
        improved = True
        while improved:
            improved = False
            for name in self.grid:
                for step in (1, -1):
                    while (moved := self._moved(best, name, step)) and (found := self._measure(moved)) > reached:
                        best, reached, improved = moved, found, True
        return best

    def _moved(self, point: Point, name: str, step: int) -> dict[str, float] | None:
        """Give the point one step up or down the grid; None at its edge."""
        beyond = [value for value in self.grid[name] if (value - point[name]) * step > 0]
        return {**point, name: min(beyond) if step > 0 else max(beyond)} if beyond else None

    def _measure(self, point: Point) -> float:
        """Measure a point once; beyond the budget no point is any good."""
        key = tuple(point[name] for name in self.grid)
        if key not in self.tried:
            if len(self.tried) >= self.budget:
                return float("-inf")
            self.tried[key] = self.quality(point)
        return self.tried[key]
