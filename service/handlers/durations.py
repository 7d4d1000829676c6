"""Histograms of durations that cost next to nothing to fill: one thread counts, and no lock is taken.

The library's own takes two locks for each observation, which at several observations per call is felt.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BOUNDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048)
"""The upper bounds of the buckets, in seconds."""
_NAMES = (*map(str, BOUNDS), "+Inf")


class Series:
    """Counts the durations of one series. Filled by one thread alone; any may read it."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * len(_NAMES)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Durations(Collector):
    """Is one histogram with labels, as Prometheus collects it."""

    def __init__(self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._series: dict[tuple[str, ...], Series] = {}
        registry.register(self)

    def series(self, *values: str) -> Series:
        """Give the series of these values of the labels."""
        found = self._series.get(values)
        if found is None:
            found = self._series[values] = Series()
        return found

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Name the metric, so that no other takes its name."""
        return (self._family(),)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give all series as they are now."""
        family = self._family()
        for values, series in self._series.copy().items():
            buckets = list(zip(_NAMES, accumulate(series.counts), strict=True))
            family.add_metric(values, buckets, series.total)
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._text, labels=self._labels)
