"""What docs/performance.md shows of latencies: a picture for each engine, and the same as a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.histogram import Histogram
from benchmarks.percentile_chart import Curve, drawn

ENGINES = ("grpcio", "envoy")
PERCENTS = (25, 50, 75, 90)
HALF = 50
WHOLE, ECHO, TURNOVER = "whole", "echo", "turnover"
_SHARES = (0.5, 0.9, 0.99, 0.999)
_COLOURS = {25: "#9ecae1", 50: "#4292c6", 75: "#08519c", 90: "#041f3d"}
_TURNOVER_COLOUR = "#b3452c"


@dataclass(frozen=True, slots=True)
class LatencyCurve:
    """Holds the latencies of one load: ``rate`` calls per second, which is ``percent`` of the engine's maximum.

    ``asking`` is microseconds of the client's processor time per call; ``histogram`` as :class:`Histogram` stores it.
    """

    engine: str
    kind: str
    percent: int
    rate: int
    failures: int
    asking: float
    histogram: Mapping[str, int]

    @property
    def latencies(self) -> Histogram:
        """Give the latencies as counts."""
        return Histogram.read(self.histogram)

    @property
    def label(self) -> str:
        """Say in a few words what was asked."""
        what = {WHOLE: "", ECHO: ", bare echo", TURNOVER: ", turnover"}[self.kind]
        return f"{self.rate:,} calls/s, {self.percent} %{what}"


def picture(engine: str, curves: Sequence[LatencyCurve]) -> str:
    """Draw the curves of an engine as SVG."""
    return drawn(
        f"RecommendOffers on engine {engine}: latency from when a call should have begun",
        [
            Curve(
                curve.label,
                _TURNOVER_COLOUR if curve.kind == TURNOVER else _COLOURS[curve.percent],
                curve.latencies,
                dashed=curve.kind == ECHO,
            )
            for curve in curves
            if curve.engine == engine
        ],
    )


def table(curves: Sequence[LatencyCurve]) -> str:
    """Lay the curves out as a Markdown table, milliseconds of the bare echo at the same rate in brackets."""
    lines = [
        "| engine | calls/s | of its maximum | p50, ms | p90 | p99 | p99.9 | refused | client's µs a call |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    echoes = {(curve.engine, curve.percent): curve.latencies for curve in curves if curve.kind == ECHO}
    for curve in curves:
        if curve.kind == ECHO:
            continue
        bare = echoes[curve.engine, curve.percent]
        times = [
            f"{curve.latencies.percentile(share) * 1000:.2f} ({bare.percentile(share) * 1000:.2f})" for share in _SHARES
        ]
        part = f"{curve.percent} %" + (", while the shop is turned over" if curve.kind == TURNOVER else "")
        lines.append(
            f"| `{curve.engine}` | {curve.rate:,} | {part} | {' | '.join(times)} | {curve.failures:,} "
            f"| {curve.asking:.0f} |"
        )
    return "\n".join(lines)
