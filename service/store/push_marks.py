"""What is remembered of the pushes of a customer: what waits, what was sent and when, what was dropped and why."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.pushes import PushMark, PushState
from models.triggers import Trigger
from service.store.push_codec import SEPARATOR, decode_mark

MARK_SECONDS = 90 * 24 * 3_600
"""How long a push is remembered: longer than any event may count that a push is about."""

LAST = ">"
"""Begins the fields that say which push went out last: of whatever trigger, and with the name of one behind."""


@dataclass(frozen=True, slots=True)
class LastPush:
    """Is the push that went out last, and when, in seconds since 1970."""

    time: float
    push_id: str


@dataclass(frozen=True, slots=True)
class PushMarks:
    """Holds what is remembered of a customer's pushes: marks by push id, and which went out last, by trigger.

    The latter stands under an empty name for whatever trigger.
    """

    by_id: Mapping[str, PushMark] = field(default_factory=dict)
    last: Mapping[str, LastPush] = field(default_factory=dict)

    def free_time(self, trigger: Trigger, push_id: str = "") -> float:
        """Give from when on a push may go out, by the pauses after others; when it went out itself is no matter."""
        pauses = {"": trigger.spacing, trigger.trigger: trigger.cooldown}
        return max(
            (
                last.time + pauses[name]
                for name, last in self.last.items()
                if name in pauses and last.push_id != push_id
            ),
            default=float("-inf"),
        )

    def waits(self, trigger: str, since: float) -> bool:
        """Tell whether a push of a trigger waits that was made after ``since``; earlier ones are over by now."""
        return any(
            mark.trigger == trigger and mark.state is PushState.WAITING and mark.time > since
            for mark in self.by_id.values()
        )


def read_marks(fields: Mapping[bytes, bytes]) -> PushMarks:
    """Read the fields of a customer's hash."""
    marks: dict[str, PushMark] = {}
    last: dict[str, LastPush] = {}
    for name, value in fields.items():
        text = name.decode()
        if text.startswith(LAST):
            time, _, push_id = value.decode().partition(SEPARATOR)
            last[text.removeprefix(LAST)] = LastPush(float(time), push_id)
        else:
            marks[text] = decode_mark(text, value)
    return PushMarks(marks, last)


def join_marks(parts: Iterable[PushMarks]) -> PushMarks:
    """Make one customer of what is remembered under each of their ids."""
    marks: dict[str, PushMark] = {}
    last: dict[str, LastPush] = {}
    for part in parts:
        marks.update(part.by_id)
        for trigger, one in part.last.items():
            last[trigger] = max(one, last.get(trigger, one), key=lambda pushed: pushed.time)
    return PushMarks(marks, last)
