"""What is remembered of the pushes of a customer: what waits, what was sent and when, what was dropped and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.pushes import PushMark, PushState
from service.store.push_codec import SEPARATOR, decode_mark

MARK_SECONDS = 90 * 24 * 3_600
"""How long a push is remembered: longer than any event may count that a push is about."""

LAST = ">"
"""Begins the fields that say which push went out last: of whatever trigger, and with the name of one behind."""


@dataclass(frozen=True, slots=True)
class PushMarks:
    """Holds what is remembered of a customer's pushes: marks by push id, and when one went out last, by trigger.

    The latter stands under an empty name for whatever trigger; times are seconds since 1970.
    """

    by_id: Mapping[str, PushMark] = field(default_factory=dict)
    last_times: Mapping[str, float] = field(default_factory=dict)

    def waits(self, trigger: str, since: float) -> bool:
        """Tell whether a push of a trigger waits that was made after ``since``; earlier ones are over by now."""
        return any(
            mark.trigger == trigger and mark.state is PushState.WAITING and mark.time > since
            for mark in self.by_id.values()
        )


def read_marks(fields: Mapping[bytes, bytes]) -> PushMarks:
    """Read the fields of a customer's hash."""
    marks: dict[str, PushMark] = {}
    last: dict[str, float] = {}
    for name, value in fields.items():
        text = name.decode()
        if text.startswith(LAST):
            last[text.removeprefix(LAST)] = float(value.partition(SEPARATOR.encode())[0])
        else:
            marks[text] = decode_mark(text, value)
    return PushMarks(marks, last)


def join_marks(parts: Iterable[PushMarks]) -> PushMarks:
    """Make one customer of what is remembered under each of their ids."""
    marks: dict[str, PushMark] = {}
    last: dict[str, float] = {}
    for part in parts:
        marks.update(part.by_id)
        for trigger, time in part.last_times.items():
            last[trigger] = max(time, last.get(trigger, time))
    return PushMarks(marks, last)
