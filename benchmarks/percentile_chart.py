"""Latency by percentile as HdrHistogram's users draw it, in SVG: the rarer the call, the further to the right."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import escape

from benchmarks.histogram import Histogram

_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 660, 50, 330
_WIDTH, _HEIGHT = 960, 380
_NINES = 3.0
_STEP = 0.05
_FEWEST = 5  # calls beyond a point of a curve; fewer tell nothing
_SHARES = ((0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"))
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_STYLE = (
    'text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:13px;fill:#1d2733}'
    ".h{font-size:17px;font-weight:600}.m{text-anchor:middle}.e{text-anchor:end}"
    ".g{stroke:#dde3ea}polyline,.k{fill:none;stroke-width:2}.d{stroke-dasharray:5 4;stroke-width:1.5}"
)


@dataclass(frozen=True, slots=True)
class Curve:
    """Is one line of the chart; ``dashed`` for what is only there to compare with."""

    label: str
    colour: str
    histogram: Histogram
    dashed: bool = False

    def points(self) -> list[tuple[float, float]]:
        """Give (nines, milliseconds): a call in 10^nines took longer than that."""
        nines = (step * _STEP for step in range(round(_NINES / _STEP) + 1))
        told = [place for place in nines if self.histogram.total * 10**-place >= _FEWEST]
        return [(place, self.histogram.percentile(1 - 10**-place) * 1000) for place in told]


def drawn(title: str, curves: Sequence[Curve]) -> str:
    """Draw curves with their legend, milliseconds upwards on a logarithmic scale."""
    found = [curve.points() for curve in curves]
    values = [value for points in found for _, value in points]
    low = max(tick for tick in _TICKS if tick <= max(min(values), _TICKS[0]))
    high = min(tick for tick in _TICKS if tick >= min(max(values), _TICKS[-1]))
    parts = [f'<text x="{_LEFT}" y="28" class="h">{escape(title)}</text>', *_grid(low, high)]
    for number, (curve, points) in enumerate(zip(curves, found, strict=True)):
        line = " ".join(f"{_across(nines):.1f},{_up(value, low, high):.1f}" for nines, value in points)
        parts.append(f'<polyline points="{line}" {_look(curve)}/>')
        parts += _legend(number, curve)
    told = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"'
    background = f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="14" fill="#ffffff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {told}>\n<style>{_STYLE}</style>\n{background}\n'
    return head + "\n".join(parts) + "\n</svg>\n"


def _grid(low: float, high: float) -> list[str]:
    parts = []
    for share, label in _SHARES:
        x = _across(-math.log10(1 - share))
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_BOTTOM}" class="g"/>')
        parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 20}" class="m">{label}</text>')
    for tick in (tick for tick in _TICKS if low <= tick <= high):
        y = _up(tick, low, high)
        parts.append(f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="g"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" class="e">{tick:g} ms</text>')
    parts.append(f'<text x="{(_LEFT + _RIGHT) / 2}" y="{_BOTTOM + 40}" class="m">of calls took no longer</text>')
    return parts


def _legend(number: int, curve: Curve) -> list[str]:
    y = _TOP + 10 + number * 24
    line = f'<line x1="{_RIGHT + 20}" x2="{_RIGHT + 48}" y1="{y}" y2="{y}" {_look(curve)}/>'
    return [line, f'<text x="{_RIGHT + 56}" y="{y + 4}">{escape(curve.label)}</text>']


def _look(curve: Curve) -> str:
    return f'class="{"k d" if curve.dashed else "k"}" stroke="{curve.colour}"'


def _across(nines: float) -> float:
    return _LEFT + nines / _NINES * (_RIGHT - _LEFT)


def _up(value: float, low: float, high: float) -> float:
    share = (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))
    return _BOTTOM - min(max(share, 0.0), 1.0) * (_BOTTOM - _TOP)
