"""Which events teach, which judge: the cuts in time of one run."""

from dataclasses import dataclass

from training.config import TrainingConfiguration
from training.event_store import EventSummary
from training.interactions import SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class Window:
    """Spans a label window in UTC seconds, ``stop`` exclusive. What is fitted for it knows nothing after ``first``."""

    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Lays a run out in time: ``blend`` teaches the blend, ``evaluation`` judges, ``final`` cuts for the model."""

    blend: Window
    evaluation: Window
    final: int


def plan(summary: EventSummary, configuration: TrainingConfiguration) -> Plan:
    """Place the windows at the end of the data, or around ``until`` when there are events after it.

    Data shorter than four windows gets windows of a quarter of it.
    """
    end = summary.last_second + 1
    until = end if configuration.until is None else min(end, int(configuration.until.timestamp()))
    span = int(configuration.holdout_days * SECONDS_PER_DAY)
    length = max(1, min(span, (until - summary.first_second) // 4))
    if until < end:
        return Plan(Window(until - length, until), Window(until, min(end, until + span)), until)
    evaluation = Window(until - length, until)
    return Plan(Window(evaluation.first - length, evaluation.first), evaluation, until)
