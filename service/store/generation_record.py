"""What Redis knows of a generation: one JSON record, of which the pointer holds a copy."""

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Self

from models.errors import UnavailableError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class GenerationState(Enum):
    """Tells what a generation is there for."""

    WRITING = "writing"
    LIVE = "live"
    RETIRED = "retired"
    ABORTED = "aborted"


class Sweep(Enum):
    """Tells what is still to be done to every list of a generation."""

    NOTHING = ""
    EXPIRE = "expire"
    PERSIST = "persist"
    UNLINK = "unlink"


class Gate(Enum):
    """Tells what the gate had said of the model when it was published."""

    UNASKED = ""
    PASSED = "passed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class GenerationRecord:
    """Describes a generation. Times are UTC; None where nothing has happened yet.

    ``previous`` is the generation that was live when this one first was, 0 for none; ``parts`` counts the keys of the
    item model, ``fold_parts`` those of what its lists are made fresh with, 0 where they cannot be; a publisher that is
    writing has to extend ``lease_time`` or is taken for dead; a retired generation is gone at ``expire_time``;
    ``state_time`` is when the state began; a generation with a ``hold_time`` is held since then, for arms of
    experiments: it stays when it is not live.
    """

    generation: int
    model_version: str
    state: GenerationState
    state_time: datetime
    sweep: Sweep = Sweep.NOTHING
    customers: int = 0
    parts: int = 0
    fold_parts: int = 0
    previous: int = 0
    publish_time: datetime | None = None
    last_event_time: datetime | None = None
    lease_time: datetime | None = None
    expire_time: datetime | None = None
    gate: Gate = Gate.UNASKED
    hold_time: datetime | None = None

    def to_json(self) -> bytes:
        """Write the record; equal records give equal bytes. Times are milliseconds since 1970."""
        values = {name: _plain(value) for name, value in asdict(self).items()}
        return json.dumps(values, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read a record, passing over fields that a later release added. UnavailableError when it is not one."""
        try:
            values = json.loads(content)
            known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
            for name, value in known.items():
                if name.endswith("_time") and value is not None:
                    known[name] = _EPOCH + timedelta(milliseconds=value)
            known["state"] = GenerationState(known["state"])
            known["sweep"] = Sweep(known.get("sweep", ""))
            known["gate"] = Gate(known.get("gate", ""))
            return cls(**known)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnavailableError("what Redis says of a generation cannot be read") from error

    def retired(self, now: datetime) -> Self:
        """Give the record from the moment on at which another generation is live."""
        sweep = Sweep.EXPIRE if self.hold_time is None else self.sweep
        return replace(self, state=GenerationState.RETIRED, state_time=now, sweep=sweep, expire_time=None)

    def held(self, now: datetime) -> Self:
        """Give the record from the moment on at which the generation stays whether it is live or not."""
        if self.state is GenerationState.LIVE:
            return replace(self, hold_time=now)
        return replace(self, state_time=now, sweep=Sweep.PERSIST, expire_time=None, hold_time=now)

    def released(self, now: datetime) -> Self:
        """Give the record from the moment on at which the generation stays only as long as it is live."""
        free = replace(self, hold_time=None)
        return free if self.state is GenerationState.LIVE else free.retired(now)

    def revived(self, now: datetime, previous: int) -> Self:
        """Give the record from the moment on at which a retired generation is live again."""
        return replace(
            self,
            state=GenerationState.LIVE,
            state_time=now,
            sweep=Sweep.PERSIST,
            previous=previous,
            expire_time=None,
        )


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(milliseconds=1)
    return value
