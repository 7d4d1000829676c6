"""A flame graph as an SVG that needs no script: who called is above, as wide as the share of samples it was seen in."""

from collections import Counter
from collections.abc import Iterator

from markupsafe import escape

_WIDTH, _TOP, _ROW, _MARGIN = 1_160, 56, 20, 10
_LETTER = 6.6  # pixels of a letter at the font size below
_NARROWEST = 2.0
_COLOURS = {"service": "#f4a261", "models": "#f4a261", "dangol": "#f4a261", "redis": "#8ab6d6", "asyncio": "#cfd8dc"}
_OTHER = "#dce3d0"
_STYLE = (
    'text{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:11px;fill:#1d2733}'
    '.h{font:600 16px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}'
    "rect{stroke:#ffffff;stroke-width:.6}"
)

Stacks = Counter[tuple[str, ...]]
"""How often each stack was seen; its frames, as ``function (path/file.py)``, from the outermost on."""


def drawn(title: str, stacks: Stacks) -> str:
    """Draw stacks; frames too narrow to be seen are left out, each says its share when pointed at."""
    boxes = list(_boxes(stacks, "event loop", 0, stacks.total(), _MARGIN))
    height = _TOP + (max(depth for depth, _ in boxes) + 1) * _ROW + _MARGIN
    told = f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}"'
    background = f'<rect width="{_WIDTH}" height="{height}" rx="14" fill="#ffffff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {told}>\n<style>{_STYLE}</style>\n{background}\n'
    return (
        f'{head}<text x="{_MARGIN}" y="32" class="h">{escape(title)}</text>\n'
        + "\n".join(box for _, box in boxes)
        + "\n</svg>\n"
    )


def _boxes(stacks: Stacks, name: str, depth: int, total: int, left: float) -> Iterator[tuple[int, str]]:
    """Give depth and box of a frame and of all below it: ``stacks`` were seen below, ``left`` is where it begins."""
    scale = (_WIDTH - 2 * _MARGIN) / total
    width = stacks.total() * scale
    if width < _NARROWEST:
        return
    yield depth, _box(name, depth, left, width, stacks.total() / total)
    below: dict[str, Stacks] = {}
    for (first, *rest), count in ((stack, count) for stack, count in stacks.items() if stack):
        below.setdefault(first, Stacks())[tuple(rest)] += count
    for frame, inner in sorted(below.items(), key=lambda pair: -pair[1].total()):
        yield from _boxes(inner, frame, depth + 1, total, left)
        left += inner.total() * scale


def _box(name: str, depth: int, left: float, width: float, share: float) -> str:
    top = _TOP + depth * _ROW
    function, _, place = name.partition(" (")
    colour = _COLOURS.get(place.partition("/")[0], _OTHER)
    fitting = int((width - 6) / _LETTER)
    shown = function if len(function) <= fitting else f"{function[: fitting - 1]}…" if fitting > 2 else ""
    text = f'<text x="{left + 3:.1f}" y="{top + 14}">{escape(shown)}</text>' if shown else ""
    told = f"<title>{escape(name)}: {share:.1%}</title>"
    rect = f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_ROW}" fill="{colour}"/>'
    return f"<g>{told}{rect}{text}</g>"
