"""Trigger messages ↔ domain, each field checked on its way in."""

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.quiet_hours import PUSH_CHANNEL
from models.triggers import DEFAULT_CONSENT_CATEGORY, DEFAULT_HOUR, Trigger, TriggerKind, TriggerStatus
from service.handlers.catalog_messages import MAXIMAL_BATCH
from service.handlers.validation import (
    check,
    check_distinct,
    count_problem,
    kebab_problem,
    optional_kebab_problem,
    range_problem,
)

_HOUR = 3_600
_DAY = 24 * _HOUR
_MAXIMAL_PRIORITY = 1_000
_TIMES = {
    "delay": (0, 30 * _DAY),
    "cooldown": (0, 90 * _DAY),
    "spacing": (0, 90 * _DAY),
    "lookback": (_HOUR, 60 * _DAY),
    "lead": (0, 30 * _DAY),
    "lifetime": (_HOUR, 30 * _DAY),
}
"""The least and the most seconds that each time may be."""

_KINDS = {
    catalog_pb2.TRIGGER_KIND_DISCOUNT: TriggerKind.DISCOUNT,
    catalog_pb2.TRIGGER_KIND_BACK_IN_STOCK: TriggerKind.BACK_IN_STOCK,
    catalog_pb2.TRIGGER_KIND_ABANDONED_CART: TriggerKind.ABANDONED_CART,
    catalog_pb2.TRIGGER_KIND_OFFER_ENDING: TriggerKind.OFFER_ENDING,
    catalog_pb2.TRIGGER_KIND_NEXT_PURCHASE: TriggerKind.NEXT_PURCHASE,
}
_STATUSES = {
    catalog_pb2.TRIGGER_STATUS_UNSPECIFIED: TriggerStatus.ACTIVE,
    catalog_pb2.TRIGGER_STATUS_ACTIVE: TriggerStatus.ACTIVE,
    catalog_pb2.TRIGGER_STATUS_PAUSED: TriggerStatus.PAUSED,
}
KIND_MESSAGES = {kind: number for number, kind in _KINDS.items()}
# Of two names for one thing the later wins, so that answers are specific.
_STATUS_MESSAGES = {status: number for number, status in _STATUSES.items()}


def triggers_from(messages: Sequence[catalog_pb2.Trigger]) -> list[Trigger]:
    """Read a batch of triggers. InvalidInputError names the field."""
    check("triggers", count_problem(len(messages), 1, MAXIMAL_BATCH))
    triggers = [_trigger_from(message, f"triggers[{index}]") for index, message in enumerate(messages)]
    check_distinct("triggers", [one.trigger for one in triggers], ".trigger")
    return triggers


def trigger_message(trigger: Trigger) -> catalog_pb2.Trigger:
    """Write a trigger, whole: what was left open is said."""
    return catalog_pb2.Trigger(
        trigger=trigger.trigger,
        kind=KIND_MESSAGES[trigger.kind],
        status=_STATUS_MESSAGES[trigger.status],
        placement=trigger.placement,
        channel=trigger.channel,
        consent_category=trigger.consent_category,
        priority=trigger.priority,
        delay=Duration(seconds=trigger.delay),
        cooldown=Duration(seconds=trigger.cooldown),
        spacing=Duration(seconds=trigger.spacing),
        lookback=Duration(seconds=trigger.lookback),
        lead=Duration(seconds=trigger.lead),
        lifetime=Duration(seconds=trigger.lifetime),
        default_hour=trigger.default_hour or 24,
        etag=trigger.etag,
    )


def _trigger_from(message: catalog_pb2.Trigger, field: str) -> Trigger:
    check(f"{field}.trigger", kebab_problem(message.trigger))
    if message.kind not in _KINDS:
        raise InvalidInputError(f"{field}.kind", "is required" if not message.kind else "is not one this server knows")
    if message.status not in _STATUSES:
        raise InvalidInputError(f"{field}.status", "is not a status that this server knows")
    check(f"{field}.placement", optional_kebab_problem(message.placement))
    check(f"{field}.channel", optional_kebab_problem(message.channel, 32))
    check(f"{field}.consent_category", optional_kebab_problem(message.consent_category))
    check(f"{field}.priority", range_problem(message.priority, -_MAXIMAL_PRIORITY, _MAXIMAL_PRIORITY))
    check(f"{field}.default_hour", range_problem(message.default_hour, 0, 24))
    return Trigger(
        trigger=message.trigger,
        kind=_KINDS[message.kind],
        status=_STATUSES[message.status],
        placement=message.placement or PUSH_CHANNEL,
        channel=message.channel or PUSH_CHANNEL,
        consent_category=message.consent_category or DEFAULT_CONSENT_CATEGORY,
        priority=message.priority,
        default_hour=(message.default_hour or DEFAULT_HOUR) % 24,
        etag=message.etag,
        **_times_from(message, field),
    )


def _times_from(message: catalog_pb2.Trigger, field: str) -> dict[str, int]:
    """Give the times that a message states, in seconds, by name."""
    times: dict[str, int] = {}
    for described, duration in message.ListFields():
        name = described.name
        if name in _TIMES:
            problem = "is not whole seconds" if duration.nanos else range_problem(duration.seconds, *_TIMES[name])
            check(f"{field}.{name}", problem)
            times[name] = duration.seconds
    return times
