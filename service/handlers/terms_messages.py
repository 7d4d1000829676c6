"""What an offer's terms say of items, looks, hours and pauses ↔ domain, each field checked on its way in."""

import json
from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.offers import ItemFilter
from models.quiet_hours import QuietHours
from models.terms import DAY_MINUTES, Budget, Cooldown, Representation, WeeklyHours
from service.handlers.money_messages import money_from, money_message
from service.handlers.validation import (
    check,
    check_distinct,
    check_kebabs,
    count_problem,
    kebab_problem,
    language_problem,
    range_problem,
    text_problem,
)

MAXIMAL_LABELS = 32
_MAXIMAL_CATEGORIES = 256
_MAXIMAL_CATEGORY_BYTES = 256
_MAXIMAL_REPRESENTATIONS = 64
_MAXIMAL_TITLE_BYTES = 512
_MAXIMAL_TEXT_BYTES = 4096
_MAXIMAL_URI_BYTES = 2048
_MAXIMAL_CONTENT_BYTES = 16 * 1024
_MAXIMAL_HOURS = 32
_MAXIMAL_CHANNELS = 32
_MAXIMAL_UNITS = 10**9
_MAXIMAL_SECONDS = 366 * 24 * 3600


def filter_from(message: catalog_pb2.ItemFilter, field: str) -> ItemFilter:
    """Read a filter of items."""
    check(f"{field}.categories", count_problem(len(message.categories), 0, _MAXIMAL_CATEGORIES))
    for index, category in enumerate(message.categories):
        problem = text_problem(category, _MAXIMAL_CATEGORY_BYTES) if category else "is required"
        check(f"{field}.categories[{index}]", problem)
    check(f"{field}.labels", count_problem(len(message.labels), 0, MAXIMAL_LABELS))
    check_kebabs(f"{field}.labels", message.labels)
    lowest = money_from(message.minimal_price, f"{field}.minimal_price") if message.HasField("minimal_price") else None
    highest = money_from(message.maximal_price, f"{field}.maximal_price") if message.HasField("maximal_price") else None
    if lowest is not None and highest is not None:
        if lowest.currency_code != highest.currency_code:
            raise InvalidInputError(f"{field}.maximal_price", "is in another currency than minimal_price")
        if lowest.minor_units > highest.minor_units:
            raise InvalidInputError(f"{field}.maximal_price", "is below minimal_price")
    return ItemFilter(tuple(message.categories), tuple(message.labels), lowest, highest)


def filter_message(item_filter: ItemFilter) -> catalog_pb2.ItemFilter:
    """Write a filter of items."""
    message = catalog_pb2.ItemFilter(categories=item_filter.categories, labels=item_filter.labels)
    if item_filter.minimal_price is not None:
        message.minimal_price.CopyFrom(money_message(item_filter.minimal_price))
    if item_filter.maximal_price is not None:
        message.maximal_price.CopyFrom(money_message(item_filter.maximal_price))
    return message


def representations_from(messages: Sequence[catalog_pb2.Representation], field: str) -> tuple[Representation, ...]:
    """Read how an offer looks."""
    check(field, count_problem(len(messages), 0, _MAXIMAL_REPRESENTATIONS))
    return tuple(_representation_from(message, f"{field}[{index}]") for index, message in enumerate(messages))


def _representation_from(message: catalog_pb2.Representation, field: str) -> Representation:
    check_kebabs(f"{field}.placements", message.placements)
    check_kebabs(f"{field}.channels", message.channels, 32)
    check(f"{field}.language", language_problem(message.language))
    check(f"{field}.title", text_problem(message.title, _MAXIMAL_TITLE_BYTES))
    if len(message.text.encode()) > _MAXIMAL_TEXT_BYTES:  # unlike titles, a text may hold line breaks
        raise InvalidInputError(f"{field}.text", f"is longer than {_MAXIMAL_TEXT_BYTES} bytes")
    check(f"{field}.image_uri", text_problem(message.image_uri, _MAXIMAL_URI_BYTES))
    check(f"{field}.link_uri", text_problem(message.link_uri, _MAXIMAL_URI_BYTES))
    return Representation(
        placements=tuple(message.placements),
        channels=tuple(message.channels),
        language=message.language,
        title=message.title,
        text=message.text,
        image_uri=message.image_uri,
        link_uri=message.link_uri,
        content=_content_from(message.content, f"{field}.content") if message.HasField("content") else "",
    )


def _content_from(message: Struct, field: str) -> str:
    try:
        document = MessageToDict(message)
        content = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    except ValueError as error:
        raise InvalidInputError(field, "holds what JSON cannot say, such as NaN") from error
    if len(content.encode()) > _MAXIMAL_CONTENT_BYTES:
        raise InvalidInputError(field, f"is longer than {_MAXIMAL_CONTENT_BYTES:,} bytes as JSON")
    return content


def representation_message(representation: Representation, *, with_conditions: bool) -> catalog_pb2.Representation:
    """Write how an offer looks, and ``with_conditions`` where."""
    message = catalog_pb2.Representation(
        language=representation.language,
        title=representation.title,
        text=representation.text,
        image_uri=representation.image_uri,
        link_uri=representation.link_uri,
    )
    if with_conditions:
        message.placements.extend(representation.placements)
        message.channels.extend(representation.channels)
    if representation.content:
        ParseDict(json.loads(representation.content), message.content)
    return message


def hours_from(messages: Sequence[catalog_pb2.WeeklyHours], field: str) -> tuple[WeeklyHours, ...]:
    """Read hours of the week."""
    check(field, count_problem(len(messages), 0, _MAXIMAL_HOURS))
    return tuple(_hours_from(message, f"{field}[{index}]") for index, message in enumerate(messages))


def _hours_from(message: catalog_pb2.WeeklyHours, field: str) -> WeeklyHours:
    for index, weekday in enumerate(message.weekdays):
        if not catalog_pb2.WEEKDAY_MONDAY <= weekday <= catalog_pb2.WEEKDAY_SUNDAY:
            raise InvalidInputError(f"{field}.weekdays[{index}]", "is not a day of the week")
    check_distinct(f"{field}.weekdays", [str(weekday) for weekday in message.weekdays])
    check(f"{field}.start_minute", range_problem(message.start_minute, 0, DAY_MINUTES - 1))
    end_minute = message.end_minute or DAY_MINUTES
    check(f"{field}.end_minute", range_problem(end_minute, message.start_minute + 1, 2 * DAY_MINUTES - 1))
    if end_minute - message.start_minute > DAY_MINUTES:
        raise InvalidInputError(f"{field}.end_minute", "is more than a day after start_minute")
    weekdays = tuple(sorted(weekday - catalog_pb2.WEEKDAY_MONDAY for weekday in message.weekdays))
    return WeeklyHours(weekdays, message.start_minute, end_minute)


def hours_message(hours: WeeklyHours) -> catalog_pb2.WeeklyHours:
    """Write hours of the week."""
    message = catalog_pb2.WeeklyHours(start_minute=hours.start_minute, end_minute=hours.end_minute)
    message.weekdays.extend(catalog_pb2.Weekday.ValueType(day + catalog_pb2.WEEKDAY_MONDAY) for day in hours.weekdays)
    return message


def quiet_hours_from(message: catalog_pb2.QuietHours, field: str) -> QuietHours:
    """Read quiet hours."""
    check(f"{field}.start_minute", range_problem(message.start_minute, 0, DAY_MINUTES - 1))
    check(f"{field}.end_minute", range_problem(message.end_minute, 0, DAY_MINUTES - 1))
    check(f"{field}.channels", count_problem(len(message.channels), 0, _MAXIMAL_CHANNELS))
    check_kebabs(f"{field}.channels", message.channels, 32)
    check_distinct(f"{field}.channels", message.channels)
    return QuietHours(message.start_minute, message.end_minute, tuple(message.channels))


def quiet_hours_message(hours: QuietHours) -> catalog_pb2.QuietHours:
    """Write quiet hours."""
    return catalog_pb2.QuietHours(start_minute=hours.start_minute, end_minute=hours.end_minute, channels=hours.channels)


def cooldown_from(message: catalog_pb2.Cooldown, field: str) -> Cooldown:
    """Read a cooldown."""
    check(f"{field}.event_type", kebab_problem(message.event_type, 32))
    return Cooldown(message.event_type, seconds_from(message.duration, f"{field}.duration"))


def cooldown_message(cooldown: Cooldown) -> catalog_pb2.Cooldown:
    """Write a cooldown."""
    return catalog_pb2.Cooldown(event_type=cooldown.event_type, duration=Duration(seconds=cooldown.seconds))


def budget_from(message: catalog_pb2.Budget, field: str) -> Budget:
    """Read a budget."""
    check(f"{field}.units", range_problem(message.units, 1, _MAXIMAL_UNITS))
    if not message.HasField("reservation"):
        return Budget(message.units)
    return Budget(message.units, seconds_from(message.reservation, f"{field}.reservation"))


def budget_message(budget: Budget) -> catalog_pb2.Budget:
    """Write a budget."""
    return catalog_pb2.Budget(units=budget.units, reservation=Duration(seconds=budget.reservation_seconds))


def seconds_from(message: Duration, field: str) -> int:
    """Read a duration of whole seconds, 1 second to 366 days."""
    if message.nanos:
        raise InvalidInputError(field, "is not a number of whole seconds")
    check(field, range_problem(message.seconds, 1, _MAXIMAL_SECONDS))
    return message.seconds
