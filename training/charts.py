"""Plots as inline SVG: a few shapes that a report needs, drawn from numbers, readable in light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_WIDTH, _LABELS, _ROW = 720, 270, 22


@dataclass(frozen=True, slots=True)
class Bar:
    """Is one bar: ``value`` from 0 to the largest of the chart, with a second one, thinner, where there is one."""

    label: str
    value: float
    other: float | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """Is a measure with its interval; ``kind`` names the colour: ours, service or trivial."""

    label: str
    value: float
    low: float
    high: float
    kind: str


def bars(rows: Sequence[Bar], unit: str = "%") -> Markup:
    """Draw horizontal bars; values are shares and are written in per cent, unless the unit is empty."""
    largest = max((max(row.value, row.other or 0) for row in rows), default=0) or 1
    scale = (_WIDTH - _LABELS - 70) / largest
    parts = []
    for number, row in enumerate(rows):
        top = number * _ROW
        width = max(row.value * scale, 0)
        parts.append(_text(_LABELS - 8, top + 15, row.label, "end"))
        height = 8 if row.other is not None else 14
        parts.append(f'<rect x="{_LABELS}" y="{top + 3}" width="{width:.1f}" height="{height}" class="ours"/>')
        if row.other is not None:
            other = max(row.other * scale, 0)
            parts.append(f'<rect x="{_LABELS}" y="{top + 12}" width="{other:.1f}" height="6" class="trivial"/>')
        end = _LABELS + max(width, (row.other or 0) * scale) + 6
        parts.append(_text(end, top + 15, f"{row.value:.1%}" if unit else f"{row.value:.3g}", "start"))
    return _svg(len(rows) * _ROW + 6, parts)


def intervals(points: Sequence[Point]) -> Markup:
    """Draw measures as dots with their intervals on one axis that begins at 0."""
    largest = max((point.high for point in points), default=0) or 1
    scale = (_WIDTH - _LABELS - 90) / largest
    parts = []
    for number, point in enumerate(points):
        middle = number * _ROW + 12
        low, value, high = (_LABELS + number_ * scale for number_ in (point.low, point.value, point.high))
        parts.append(_text(_LABELS - 8, middle + 4, point.label, "end"))
        parts.append(f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" class="{point.kind}"/>')
        parts.append(f'<circle cx="{value:.1f}" cy="{middle}" r="4.5" class="{point.kind}"/>')
        parts.append(_text(high + 10, middle + 4, f"{point.value:.3f}", "start"))
    parts.append(f'<line x1="{_LABELS}" x2="{_LABELS}" y1="0" y2="{len(points) * _ROW}" class="axis"/>')
    return _svg(len(points) * _ROW + 6, parts)


def reliability(said: Sequence[float], bought: Sequence[float]) -> Markup:
    """Draw what probabilities said against what came of them; a good model lies on the diagonal."""
    side, left = 260, 50
    largest = max([*said, *bought], default=0) or 1
    points = [(left + x / largest * side, 10 + side - y / largest * side) for x, y in zip(said, bought, strict=True)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [
        f'<line x1="{left}" y1="{10 + side}" x2="{left + side}" y2="10" class="axis dashed"/>',
        f'<rect x="{left}" y="10" width="{side}" height="{side}" class="frame"/>',
        f'<polyline points="{line}" class="ours"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="ours"/>' for x, y in points),
        _text(left + side / 2, side + 40, "probability said", "middle"),
        _text(left - 6, 20, f"{largest:.2f}", "end"),
        _text(left - 6, side + 14, "0", "end"),
        _text(left + side, side + 26, f"{largest:.2f}", "end"),
        _text(left + side + 12, 24, "part bought", "start"),
    ]
    return _svg(side + 50, parts)


def curves(series: Sequence[tuple[str, str, Sequence[float]]], across: str, step: int = 1) -> Markup:
    """Draw lines over equal steps: ``series`` of label, kind (the colour) and values, from the first step on."""
    left, right, height = 70, _WIDTH - 150, 180
    low, high = (bound(bound(values) for _, _, values in series) for bound in (min, max))
    spread, longest = (high - low) or 1, max(len(values) for _, _, values in series)
    parts = [f'<rect x="{left}" y="10" width="{right - left}" height="{height}" class="frame"/>']
    for label, kind, values in series:
        points = [
            (left + place / max(longest - 1, 1) * (right - left), 10 + height - (value - low) / spread * height)
            for place, value in enumerate(values)
        ]
        parts.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" class="{kind}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" class="{kind}"/>' for x, y in points]
        parts.append(_text(points[-1][0] + 8, points[-1][1] + 4, label, "start"))
    parts += [_text(left - 6, 20, f"{high:.4g}", "end"), _text(left - 6, height + 10, f"{low:.4g}", "end")]
    parts += [_text(left, height + 28, str(step), "start"), _text(right, height + 28, str(longest * step), "end")]
    parts.append(_text((left + right) / 2, height + 28, across, "middle"))
    return _svg(height + 36, parts)


def columns(counts: Sequence[tuple[str, int]]) -> Markup:
    """Draw counts over time as columns, the first and the last named."""
    if not counts:
        return Markup("")
    largest, height = max(count for _, count in counts), 70
    step = _WIDTH / len(counts)
    parts = [
        f'<rect x="{number * step:.1f}" y="{height - count / largest * height:.1f}" width="{step * 0.8:.1f}" '
        f'height="{count / largest * height:.1f}" class="ours"><title>{escape(day)}: {count:,}</title></rect>'
        for number, (day, count) in enumerate(counts)
    ]
    parts += [_text(0, height + 16, counts[0][0], "start"), _text(_WIDTH, height + 16, counts[-1][0], "end")]
    return _svg(height + 22, parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str]) -> Markup:
    # Every text in the parts was escaped when it was written; the rest are numbers and names of this module.
    return Markup(f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img">{"".join(parts)}</svg>')  # noqa: S704
