"""The metrics of all processes of a fleet on one page, each sample with the number of its process.

They are not summed up here: a process that starts again begins its counters at 0, and only a series of its own shows
Prometheus that. ``sum without (process)`` gives the whole.
"""

import http.client
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

LABEL = "process"
_PATIENCE = 2.0


class Watched(Protocol):
    """Is what this page tells of one process."""

    number: int
    restarts: int

    @property
    def metrics_address(self) -> str:
        """Give where its own metrics are; empty while it does not run."""


class FleetCollector(Collector):
    """Asks every process whenever somebody asks for the page."""

    def __init__(self, processes: Iterable[Watched]) -> None:
        self._processes = processes

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: what there is, only the processes know."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give all metrics of all processes that answer, whether each answers, and how often each was started again."""
        up = GaugeMetricFamily("dangol_process_up", "Whether the process answers", labels=[LABEL])
        restarts = CounterMetricFamily("dangol_process_restarts", "Times it was started again", labels=[LABEL])
        merged: dict[str, Metric] = {}
        for process in self._processes:
            page = _page_of(process.metrics_address)
            up.add_metric([str(process.number)], page is not None)
            restarts.add_metric([str(process.number)], process.restarts)
            for family in text_string_to_metric_families(page or ""):
                whole = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                whole.samples += [
                    sample._replace(labels=sample.labels | {LABEL: str(process.number)}) for sample in family.samples
                ]
        yield from merged.values()
        yield from (up, restarts)


def _page_of(address: str) -> str | None:
    """Give the metrics at an address; None when nobody answers there."""
    if not address:
        return None
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=_PATIENCE) as answer:
            page: bytes = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    return page.decode()
