"""The caps of an offer ↔ domain, each field checked on its way in."""

from collections.abc import Sequence

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.terms import Cap, CapEvent, CapPeriod, CapScope
from service.handlers.validation import check, count_problem, optional_kebab_problem, range_problem

_MAXIMAL_CAPS = 16
_MAXIMAL_COUNT = 10**9

_CAP_SCOPES = {
    catalog_pb2.CAP_SCOPE_UNSPECIFIED: CapScope.CUSTOMER,
    catalog_pb2.CAP_SCOPE_CUSTOMER: CapScope.CUSTOMER,
    catalog_pb2.CAP_SCOPE_TOTAL: CapScope.TOTAL,
}
_CAP_EVENTS = {
    catalog_pb2.CAP_EVENT_UNSPECIFIED: CapEvent.IMPRESSION,
    catalog_pb2.CAP_EVENT_DECISION: CapEvent.DECISION,
    catalog_pb2.CAP_EVENT_IMPRESSION: CapEvent.IMPRESSION,
    catalog_pb2.CAP_EVENT_CLICK: CapEvent.CLICK,
    catalog_pb2.CAP_EVENT_REDEMPTION: CapEvent.REDEMPTION,
}
_CAP_PERIODS = {
    catalog_pb2.CAP_PERIOD_UNSPECIFIED: CapPeriod.EVER,
    catalog_pb2.CAP_PERIOD_HOUR: CapPeriod.HOUR,
    catalog_pb2.CAP_PERIOD_DAY: CapPeriod.DAY,
    catalog_pb2.CAP_PERIOD_WEEK: CapPeriod.WEEK,
    catalog_pb2.CAP_PERIOD_MONTH: CapPeriod.MONTH,
    catalog_pb2.CAP_PERIOD_EVER: CapPeriod.EVER,
}
# The first name that stands for a value is UNSPECIFIED; a later one wins, so that answers are always specific.
_CAP_SCOPE_MESSAGES = {scope: number for number, scope in _CAP_SCOPES.items()}
_CAP_EVENT_MESSAGES = {event: number for number, event in _CAP_EVENTS.items()}
_CAP_PERIOD_MESSAGES = {period: number for number, period in _CAP_PERIODS.items()}


def caps_from(messages: Sequence[catalog_pb2.Cap], field: str) -> tuple[Cap, ...]:
    """Read the caps of an offer."""
    check(field, count_problem(len(messages), 0, _MAXIMAL_CAPS))
    return tuple(_cap_from(message, f"{field}[{index}]") for index, message in enumerate(messages))


def _cap_from(message: catalog_pb2.Cap, field: str) -> Cap:
    check(f"{field}.maximal_count", range_problem(message.maximal_count, 1, _MAXIMAL_COUNT))
    check(f"{field}.placement", optional_kebab_problem(message.placement))
    check(f"{field}.channel", optional_kebab_problem(message.channel, 32))
    for name, known in (("scope", _CAP_SCOPES), ("event", _CAP_EVENTS), ("period", _CAP_PERIODS)):
        if getattr(message, name) not in known:
            raise InvalidInputError(f"{field}.{name}", "is not one that this server knows")
    return Cap(
        message.maximal_count,
        _CAP_SCOPES[message.scope],
        _CAP_EVENTS[message.event],
        _CAP_PERIODS[message.period],
        message.placement,
        message.channel,
    )


def cap_message(cap: Cap) -> catalog_pb2.Cap:
    """Write a cap."""
    return catalog_pb2.Cap(
        maximal_count=cap.maximum,
        scope=_CAP_SCOPE_MESSAGES[cap.scope],
        event=_CAP_EVENT_MESSAGES[cap.event],
        period=_CAP_PERIOD_MESSAGES[cap.period],
        placement=cap.placement,
        channel=cap.channel,
    )
