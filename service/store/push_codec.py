"""Pushes and what is remembered of them as texts. docs/redis-layout.md describes them."""

import json
from typing import Any

from models.errors import InvalidInputError
from models.pushes import Push, PushMark, PushState

SEPARATOR = "\n"


def encode_push(push: Push) -> bytes:
    """Write a push as compact JSON; what is empty is left out."""
    fields: dict[str, Any] = {
        "key": push.key,
        "customer_id": push.customer_id,
        "trigger": push.trigger,
        "item_id": push.item_id,
        "offer_id": push.offer_id,
        "motive_time": push.motive_time,
        "due_time": push.due_time,
        "expire_time": push.expire_time,
    }
    return _compact({name: value for name, value in fields.items() if value != ""})


def decode_push(content: bytes) -> Push:
    """Read a push. InvalidInputError when it is none."""
    try:
        fields = json.loads(content)
        return Push(
            key=fields["key"],
            customer_id=fields["customer_id"],
            trigger=fields["trigger"],
            item_id=fields.get("item_id", ""),
            offer_id=fields.get("offer_id", ""),
            motive_time=fields["motive_time"],
            due_time=fields["due_time"],
            expire_time=fields["expire_time"],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError("push", "is not one as Redis holds it") from error


def encode_mark(mark: PushMark, forget_time: float) -> bytes:
    """Write a mark: when it is forgotten, whole seconds since 1970, a line feed, and compact JSON."""
    fields: dict[str, Any] = {
        "trigger": mark.trigger,
        "item_id": mark.item_id,
        "offer_id": mark.offer_id,
        "state": mark.state.value,
        "time": mark.time,
        "reason": mark.reason,
    }
    written = _compact({name: value for name, value in fields.items() if value != ""})
    return f"{int(forget_time)}{SEPARATOR}".encode() + written


def decode_mark(push_id: str, value: bytes) -> PushMark:
    """Read a mark. InvalidInputError when it is none."""
    try:
        fields = json.loads(value.partition(SEPARATOR.encode())[2])
        return PushMark(
            push_id=push_id,
            trigger=fields["trigger"],
            item_id=fields.get("item_id", ""),
            offer_id=fields.get("offer_id", ""),
            state=PushState(fields["state"]),
            time=fields["time"],
            reason=fields.get("reason", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError("mark of a push", "is not one as Redis holds it") from error


def _compact(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
