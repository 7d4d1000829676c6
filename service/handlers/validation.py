"""What input must look like. Each check gives the problem in words, or None; the caller knows the field."""

import math
import re
from collections.abc import Iterable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from dangol.v1.catalog_pb2 import Money as MoneyMessage
from models.errors import InvalidInputError

MAXIMAL_ID_BYTES = 128
MAXIMAL_PAGE_SIZE = 100
MAXIMAL_KEBAB_BYTES = 64
_EARLIEST_SECOND = -62_135_596_800  # 0001-01-01, the range of Timestamp
_LATEST_SECOND = 253_402_300_799  # 9999-12-31

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CURRENCY = re.compile(r"[A-Z]{3}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_MAXIMAL_LANGUAGE_BYTES = 35


def check(field: str, problem: str | None) -> None:
    """InvalidInputError naming the field when there is a problem."""
    if problem is not None:
        raise InvalidInputError(field, problem)


def id_problem(value: str, maximum: int = MAXIMAL_ID_BYTES) -> str | None:
    """Check an opaque id: 1 to ``maximum`` bytes of UTF-8 without control characters."""
    return "is required" if not value else optional_id_problem(value, maximum)


def optional_id_problem(value: str, maximum: int = MAXIMAL_ID_BYTES) -> str | None:
    """Check an id that may be empty."""
    if value.isascii() and value.isprintable() and len(value) <= maximum:
        return None
    if len(value.encode()) > maximum:
        return f"is longer than {maximum} bytes"
    return "holds a control character" if _CONTROL.search(value) else None


def text_problem(value: str, maximum: int) -> str | None:
    """Check text for people: at most ``maximum`` bytes without control characters."""
    return optional_id_problem(value, maximum)


def kebab_problem(value: str, maximum: int = MAXIMAL_KEBAB_BYTES) -> str | None:
    """Check a required kebab-case string of at most ``maximum`` bytes."""
    return "is required" if not value else optional_kebab_problem(value, maximum)


def optional_kebab_problem(value: str, maximum: int = MAXIMAL_KEBAB_BYTES) -> str | None:
    """Check a kebab-case string that may be empty."""
    if not value:
        return None
    if len(value) > maximum:
        return f"is longer than {maximum} bytes"
    return None if _KEBAB.fullmatch(value) else "is not kebab-case: small letters, digits and single hyphens"


def language_problem(value: str) -> str | None:
    """Check a BCP 47 language tag that may be empty."""
    if not value or (len(value) <= _MAXIMAL_LANGUAGE_BYTES and _LANGUAGE.fullmatch(value)):
        return None
    return "is not a language tag such as de or pt-BR"


def count_problem(count: int, minimum: int, maximum: int) -> str | None:
    """Check how many elements a list holds."""
    if minimum <= count <= maximum:
        return None
    if minimum == maximum:
        return f"holds {count} elements, not {minimum}"
    return f"holds {count} elements, not {minimum} to {maximum:,}"


def check_ids(field: str, values: Sequence[str], minimum: int, maximum: int) -> None:
    """Check a list of ids: their number and each one."""
    check(field, count_problem(len(values), minimum, maximum))
    for index, value in enumerate(values):
        problem = id_problem(value)
        if problem is not None:
            raise InvalidInputError(f"{field}[{index}]", problem)


def check_distinct(field: str, values: Sequence[str], attribute: str = "") -> None:
    """Check that no value stands twice, naming the second one."""
    if len(values) < 2 or len(set(values)) == len(values):
        return
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            raise InvalidInputError(f"{field}[{index}]{attribute}", "stands in the list twice")
        seen.add(value)


def check_kebabs(field: str, values: Iterable[str], maximum: int = MAXIMAL_KEBAB_BYTES) -> None:
    """Check a list of kebab-case strings."""
    for index, value in enumerate(values):
        problem = kebab_problem(value, maximum)
        if problem is not None:
            raise InvalidInputError(f"{field}[{index}]", problem)


def size_of_page(page_size: int, default: int, maximum: int = MAXIMAL_PAGE_SIZE) -> int:
    """Give the size that a request means: 0 is the default, too large is lowered; negative is an InvalidInputError."""
    if page_size < 0:
        raise InvalidInputError("page_size", "is negative")
    return min(page_size or default, maximum)


def range_problem(value: float, minimum: float, maximum: float) -> str | None:
    """Check a number: finite and within the bounds."""
    if not math.isfinite(value):
        return "is not a finite number"
    return None if minimum <= value <= maximum else f"is not in {minimum:,g} to {maximum:,g}"


def time_problem(value: Timestamp) -> str | None:
    """Check that a Timestamp is one: year 1 to 9999 and nanoseconds below a second."""
    in_range = _EARLIEST_SECOND <= value.seconds <= _LATEST_SECOND and 0 <= value.nanos <= 999_999_999
    return None if in_range else "is not a time between the years 1 and 9999"


def check_money(field: str, value: MoneyMessage) -> None:
    """Check a price or a saving: a currency, and not negative."""
    if not _CURRENCY.fullmatch(value.currency_code):
        problem = "is not an ISO 4217 code in capitals" if value.currency_code else "is required"
        raise InvalidInputError(f"{field}.currency_code", problem)
    if value.minor_units < 0:
        raise InvalidInputError(f"{field}.minor_units", "is negative")
