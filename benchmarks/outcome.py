"""What came of a load: how many calls were answered, how soon, and what asking cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.histogram import Histogram


@dataclass(slots=True)
class Outcome:
    """Holds what came of a load: answered ``calls``, and ``failures`` of any kind.

    ``latencies`` are seconds, of answered calls; ``refusals`` those of calls that got a status and no answer.
    ``processor`` is the processor time that asking took, in seconds.
    """

    calls: int = 0
    failures: int = 0
    elapsed: float = 0.0
    processor: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Give the answered calls per second."""
        return self.calls / self.elapsed

    def percentile(self, share: float) -> float:
        """Give the latency that this share (0 … 1) of calls stayed below, in seconds."""
        return percentile(self.latencies, share)

    @property
    def histogram(self) -> Histogram:
        """Give the latencies of answered calls as counts."""
        return Histogram.of(self.latencies)

    @property
    def cost(self) -> float:
        """Give the processor time that asking took for each call, in seconds."""
        return self.processor / max(self.calls + self.failures, 1)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that this share (0 … 1) of values stayed below; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
