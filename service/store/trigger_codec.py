"""Triggers as JSON objects. docs/redis-layout.md describes them."""

from typing import Any

from models.triggers import Trigger, TriggerKind, TriggerStatus
from service.store.offer_codec import sparse


def encode_trigger(trigger: Trigger) -> dict[str, Any]:
    """Write what a trigger says that is not the default; the id and the etag are no part of it."""
    fields = sparse(trigger)
    return {name: value for name, value in fields.items() if name not in ("trigger", "etag")}


def decode_trigger(id_: str, record: dict[str, Any], etag: str) -> Trigger:
    """Read a trigger. ValueError, KeyError, TypeError or AttributeError when it is none."""
    known = {name: value for name, value in record.items() if name in Trigger.__slots__}
    kind = TriggerKind(record["kind"])
    status = TriggerStatus(record.get("status", TriggerStatus.ACTIVE.value))
    return Trigger(**(known | {"trigger": id_, "kind": kind, "status": status, "etag": etag}))
