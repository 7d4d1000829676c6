"""What is tuned: the events, the windows that judge, the space; the same for every process that takes part."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from models.progress import Progress, SilentProgress
from training.attributes import Attributes, read_attributes
from training.config import ColumnMapping, TrainingConfiguration
from training.event_store import EventStore, EventSummary
from training.learned.tree_learner import reason_against
from training.people import People
from training.reading import reading
from training.tuning.space import Range, search_space
from training.windows import plan


@dataclass(frozen=True, slots=True)
class Inputs:
    """Says which events are learned from, as :func:`training.job.train` is told, and what is asked of them.

    ``metric`` is one of the gate's, perhaps within a scope; ``windows`` counts the label windows that judge.
    """

    sources: Sequence[str]
    mapping: ColumnMapping
    configuration: TrainingConfiguration
    people: People
    metric: str
    windows: int


@dataclass(frozen=True, slots=True)
class Task:
    """Holds what every trial shares. Nothing at or after the second ``until`` is looked at."""

    inputs: Inputs
    until: int
    space: Sequence[Range]
    events: Mapping[str, int]

    def document(self) -> dict[str, Any]:
        """Describe everything that a trial's value depends on, as JSON."""
        return {
            "format": 1,
            "metric": self.inputs.metric,
            "windows": self.inputs.windows,
            "until": datetime.fromtimestamp(self.until, UTC).isoformat(),
            "events": dict(self.events),
            "configuration": self.inputs.configuration.for_manifest(),
            "space": [asdict(one) for one in self.space],
        }

    def digest(self) -> str:
        """Give twelve hexadecimal digits that name the task."""
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Ground:
    """Is what a process holds while it tries settings: the events, and what is known of those before ``until``."""

    store: EventStore
    summary: EventSummary
    configuration: TrainingConfiguration
    attributes: Attributes


def task_of(inputs: Inputs, progress: Progress) -> Task:
    """Read the events once to find out what can be tuned on them.

    The windows that judge lie before the one that ``dangol train`` would judge a model of the same sources by: what is
    promoted is never judged by what it was tuned on. InvalidInputError names what cannot be used.
    """
    with reading(inputs.sources, inputs.mapping, inputs.configuration, inputs.people, progress) as (store, summary, _):
        until = plan(summary, inputs.configuration).windows[-1].first
        ground = _ground(store, summary, inputs, until)
        window = plan(ground.summary, ground.configuration).windows[0]
        learned = inputs.configuration.ranker != "blend" and (
            reason_against(store, ground.summary, ground.configuration, window.stop - window.first) is None
        )
        space = search_space(inputs.configuration, _types(store, inputs.configuration, until), learned=learned)
    return Task(inputs, until, space, asdict(summary))


@contextmanager
def ground_of(task: Task) -> Iterator[Ground]:
    """Read the events of a task, for as long as the context."""
    inputs = task.inputs
    read = reading(inputs.sources, inputs.mapping, inputs.configuration, inputs.people, SilentProgress())
    with read as (store, summary, _):
        yield _ground(store, summary, inputs, task.until)


def _ground(store: EventStore, summary: EventSummary, inputs: Inputs, until: int) -> Ground:
    """Let the data end at ``until``: windows are laid out before it, and every query is bounded by one."""
    bounded = replace(summary, last_second=until - 1)
    changed = {"until": None, "evaluation_windows": inputs.windows}
    attributes = read_attributes(store, inputs.mapping, summary, inputs.people)
    return Ground(store, bounded, inputs.configuration.model_copy(update=changed), attributes)


def _types(store: EventStore, configuration: TrainingConfiguration, until: int) -> list[str]:
    """Give the names of the event types that there are before a second."""
    found = store.table("SELECT DISTINCT type FROM events WHERE seconds < ? ORDER BY type", [until])["type"]
    names = list(configuration.event_weights())
    return [names[code] for code in found.tolist()]
