"""Latencies as counts per logarithmic bucket, as HdrHistogram keeps them: small, and rounds add up."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PER_DOUBLING = 32
"""Buckets between a duration and twice as much: what is read from one is at most 2.2 % above what was measured."""
_UNIT = 1e-6


@dataclass(frozen=True, slots=True)
class Histogram:
    """Holds how many durations fell into each bucket; bucket b ends at 2^((b + 1) / 32) microseconds, inclusive."""

    counts: Counter[int] = field(default_factory=Counter)

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Histogram":
        """Count durations in seconds; what is shorter than a microsecond counts as one."""
        return cls(Counter(math.ceil(math.log2(max(value / _UNIT, 1.0)) * PER_DOUBLING) - 1 for value in seconds))

    @classmethod
    def read(cls, stored: Mapping[str, int]) -> "Histogram":
        """Read what :meth:`stored` gave."""
        return cls(Counter({int(bucket): count for bucket, count in stored.items()}))

    def stored(self) -> dict[str, int]:
        """Give the counts as JSON keeps them, by bucket, ascending."""
        return {str(bucket): self.counts[bucket] for bucket in sorted(self.counts)}

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram(self.counts + other.counts)

    @property
    def total(self) -> int:
        """Give how many durations were counted."""
        return self.counts.total()

    def percentile(self, share: float) -> float:
        """Give the end, in seconds, of the bucket that this share (0 … 1) of durations do not exceed; 0 of none."""
        wanted, seen = max(math.ceil(share * self.total), 1), 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return _end(bucket)
        return 0.0


def _end(bucket: int) -> float:
    return float(2 ** ((bucket + 1) / PER_DOUBLING) * _UNIT)
