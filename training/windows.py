"""Which events teach, which judge: the cuts in time of one run."""

from dataclasses import dataclass

from training.config import TrainingConfiguration
from training.event_store import SECONDS_PER_DAY, EventSummary


@dataclass(frozen=True, slots=True)
class Window:
    """Spans a label window in UTC seconds, ``stop`` exclusive. What is fitted for it knows nothing after ``first``."""

    first: int
    stop: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Lays a run out in time: ``windows`` follow each other, ``final`` cuts for the model.

    The first window only teaches the blend. The others judge what was learned before them and, if they lie before
    ``final``, teach as well; the last is the one that the model is known by.
    """

    windows: tuple[Window, ...]
    final: int


def plan(summary: EventSummary, configuration: TrainingConfiguration) -> Plan:
    """Place the windows at the end of the data, or around ``until`` when there are events after it.

    Data shorter than four windows (one more for each further one that judges) gets shorter ones.
    """
    end = summary.last_second + 1
    until = end if configuration.until is None else min(end, int(configuration.until.timestamp()))
    span = int(configuration.holdout_days * SECONDS_PER_DAY)
    earlier = configuration.evaluation_windows
    length = max(1, min(span, (until - summary.first_second) // (3 + earlier)))
    last = Window(until, min(end, until + span)) if until < end else Window(until - length, until)
    starts = [last.first - number * length for number in range(earlier, 0, -1)]
    return Plan((*(Window(start, start + length) for start in starts), last), until)
