"""How one row of a source becomes an event, or is refused with a reason, as SQL expressions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from models.errors import InvalidInputError
from models.events import EXPOSURE, RATING
from training.config import ColumnMapping, TrainingConfiguration
from training.files import SourceFile, quote_name, quote_text

LONGEST_ID = 128
"""Bytes of UTF-8 that an id may have; the API has the same bound."""

EARLIEST_SECOND = 631_152_000
"""1990-01-01 UTC; whatever says to be older is a mistake."""

LATEST_FROM_NOW = 86_400
"""Seconds that an event may lie ahead of the clock before it is refused."""

UNUSED_TYPE = 255
"""Stands for event types that are known but have weight 0, and for ratings that say nothing."""

_STARS_APART = 2.0
"""How far from the neutral rating one counts in full: five stars of five for an item, one against it."""

MALFORMED = "malformed-line"

_WHOLE_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = (*_WHOLE_NUMBERS, *(f"U{name}" for name in _WHOLE_NUMBERS), "FLOAT", "DOUBLE", "DECIMAL")
_MOMENTS = ("TIMESTAMP", "DATE")
"""Begin DuckDB's names of types."""

_ZONED = "TIMESTAMP WITH TIME ZONE"

_IS_RATING = f"event_type = {quote_text(RATING)}"

_UNITS_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}


@dataclass(frozen=True, slots=True)
class RowRules:
    """Says how rows are read: which columns, which types, and what the time is now."""

    mapping: ColumnMapping
    configuration: TrainingConfiguration
    now: datetime

    def select(self, file: SourceFile, columns: Mapping[str, str] | None) -> str:
        """Give the SELECT that turns the rows of a file into rows of the table ``raw``.

        InvalidInputError naming the file and the column that the mapping asks for and the file lacks.
        """
        return _Row(self, file, columns).select()


class _Row:
    def __init__(self, rules: RowRules, file: SourceFile, columns: Mapping[str, str] | None) -> None:
        self._rules = rules
        self._mapping = rules.mapping
        self._file = file
        self._columns = columns

    def select(self) -> str:
        mapping = self._mapping
        texts = {
            "customer": self._text("customer", mapping.customer, required=True),
            "item": self._text("item", mapping.item, required=True),
            "event_type": self._event_type(),
            "event_id": self._text("event_id", mapping.event_id),
            "quantity": self._typed("quantity", mapping.quantity),
            "value": self._typed_value(),
            "rating": self._typed("rating", self._mapping.rating),
            "event_time": self._typed("time", mapping.time, required=True),
        }
        segments = "".join(
            f", {self._text('segments', column, required=True)} AS segment_{index}"
            for index, column in enumerate(mapping.segments)
        )
        named = ", ".join(f"{expression} AS {name}" for name, expression in texts.items())
        return f"""
            SELECT customer, item, {self._used_type()} AS type, seconds, {self._amount()} AS amount,
                   {self._value()}::FLOAT AS value,
                   CASE WHEN event_id <> '' THEN hash(event_id) END AS event_hash,
                   CASE WHEN reason IS NOT NULL THEN to_json(struct_pack(
                        file := {quote_text(str(self._file.path))}, reason,
                        customer, item, event_type, event_id, event_time := {_as_text("event_time")},
                        quantity := {_as_text("quantity")}, value := {_as_text("value")},
                        rating := {_as_text("rating")})) END AS refused
                   {"".join(f", segment_{index}" for index in range(len(mapping.segments)))}
            FROM (SELECT *, {self._reason()} AS reason FROM (
                  SELECT *, try_cast(quantity AS DOUBLE) AS quantity_number, try_cast(value AS DOUBLE) AS value_number,
                         try_cast(rating AS DOUBLE) AS rating_number
                  FROM (SELECT {named}, {self._seconds()} AS seconds, {self._is_malformed()} AS malformed{segments}
                        FROM {self._file.relation()})))"""

    def _column(self, field: str, name: str, *, required: bool = False) -> str | None:
        """Give the SQL of a column, or None when the file has none and need not."""
        if self._columns is None:
            return f"json_extract_string(json, {quote_text('$.' + quote_name(name))})"
        if name in self._columns:
            return quote_name(name)
        if required or self._mapping.names_explicitly(field):
            known = ", ".join(self._columns)
            raise InvalidInputError(str(self._file.path), f"has no column {name!r} (for {field}); it has {known}")
        return None

    def _text(self, field: str, name: str, *, required: bool = False) -> str:
        column = self._column(field, name, required=required)
        return _as_text(column or "NULL")

    def _typed(self, field: str, name: str, *, required: bool = False) -> str:
        """Give a column as it is where it holds numbers or moments: to write millions of them as text takes long."""
        if self._kind(name).startswith((*_NUMBERS, *_MOMENTS)):
            return quote_name(name)
        return self._text(field, name, required=required)

    def _kind(self, name: str) -> str:
        """Give the type of a column as DuckDB names it; JSON is read as text."""
        return "VARCHAR" if self._columns is None else self._columns.get(name, "VARCHAR")

    def _event_type(self) -> str:
        mapping = self._mapping
        if mapping.constant_event_type is not None:
            return quote_text(mapping.constant_event_type)
        if self._columns is not None and mapping.event_type not in self._columns:
            problem = f"has no column {mapping.event_type!r} (for event_type); name it, or set constant_event_type"
            raise InvalidInputError(str(self._file.path), problem)
        text = self._text("event_type", mapping.event_type)
        cases = "".join(
            f" WHEN {quote_text(theirs)} THEN {quote_text(ours)}" for theirs, ours in mapping.event_types.items()
        )
        return f"CASE {text}{cases} ELSE {text} END" if cases else text

    def _typed_value(self) -> str:
        if self._mapping.price is None:
            return self._typed("value", self._mapping.value)
        return self._typed("price", self._mapping.price, required=True)

    def _value(self) -> str:
        return "value_number" if self._mapping.price is None else "value_number * coalesce(quantity_number, 1)"

    def _seconds(self) -> str:
        """Read times as UTC seconds: of a date or time column by its type, of text as ISO 8601 or a number."""
        column = self._column("time", self._mapping.time, required=True)
        kind = self._kind(self._mapping.time)
        per_second = _UNITS_PER_SECOND[self._mapping.time_unit]
        number = f"CAST(floor(try_cast({column} AS DOUBLE) / {per_second}) AS BIGINT)"
        # Where no other zone's clock has to be asked, the cast would take longer than all else.
        in_utc = kind == _ZONED or (kind == "TIMESTAMP" and self._mapping.time_zone == "UTC")
        moment = f"epoch_us({column if in_utc else f'try_cast({column} AS TIMESTAMPTZ)'}) // 1000000"
        if kind.startswith(_MOMENTS):
            return moment
        return f"coalesce({moment}, {number})" if kind == "VARCHAR" else number

    def _is_malformed(self) -> str:
        return "json IS NULL" if self._columns is None else "false"

    def _reason(self) -> str:
        latest = int(self._rules.now.timestamp()) + LATEST_FROM_NOW
        cases = {
            "malformed": MALFORMED,
            **_id_problems("customer"),
            # What says nothing about taste need not be about an item, as a search is not.
            **{
                f"{self._type_code()} <> {UNUSED_TYPE} AND ({test})": name
                for test, name in _id_problems("item").items()
            },
            f"event_time IS NULL OR (seconds IS NULL AND {_as_text('event_time')} = '')": "no-time",
            "seconds IS NULL": "unreadable-time",
            f"seconds > {latest}": "time-in-the-future",
            f"seconds < {EARLIEST_SECOND}": "time-before-1990",
            f"{self._type_code()} IS NULL": "unknown-event-type",
            _not_a_number("quantity"): "quantity-not-a-number",
            _not_a_number("value"): "value-not-a-number",
            f"{_IS_RATING} AND {_not_a_number('rating')}": "rating-not-a-number",
        }
        return "CASE " + " ".join(f"WHEN {test} THEN '{reason}'" for test, reason in cases.items()) + " END"

    def _type_code(self) -> str:
        weights = self._rules.configuration.event_weights()
        cases = " ".join(
            f"WHEN {quote_text(name)} THEN {code if weight.weight else UNUSED_TYPE}"
            for code, (name, weight) in enumerate(weights.items())
        )
        # That a server put a customer into an experiment is nothing that they did: there is no weight to give it.
        cases += f" WHEN {quote_text(EXPOSURE)} THEN {UNUSED_TYPE}"
        return f"CAST(CASE event_type {cases} END AS UTINYINT)"

    def _used_type(self) -> str:
        """Leave out ratings that speak neither for nor against, and those without any stars."""
        says_nothing = f"{_IS_RATING} AND {self._opinion()} = 0"
        return f"CASE WHEN {says_nothing} THEN CAST({UNUSED_TYPE} AS UTINYINT) ELSE {self._type_code()} END"

    def _opinion(self) -> str:
        """Say how far a rating's stars speak for the item, below 0 against; 0 stars are none."""
        neutral = self._rules.configuration.neutral_rating
        return f"coalesce((nullif(rating_number, 0) - {neutral!r}) / {_STARS_APART!r}, 0)"

    def _amount(self) -> str:
        """Damp the quantity. A negative one turns an event round, as a purchase of -2 is a return of 2.

        The amount of a rating is its opinion, whatever the quantity.
        """
        quantity = "CASE WHEN quantity_number = 0 THEN 1 ELSE coalesce(quantity_number, 1) END"
        size = {"logarithm": f"log2(1 + abs({quantity}))", "none": f"abs({quantity})", "ignore": "1"}
        negative_types = [
            quote_text(name) for name, weight in self._rules.configuration.event_weights().items() if weight.weight < 0
        ]
        # A return of -2 is written by some shops, of 2 by others: both mean that two came back.
        already_negative = f"event_type IN ({', '.join(negative_types)})" if negative_types else "false"
        sign = f"CASE WHEN {quantity} < 0 AND NOT ({already_negative}) THEN -1 ELSE 1 END"
        damped = f"{size[self._rules.configuration.quantity_damping]} * {sign}"
        return f"CAST(CASE WHEN {_IS_RATING} THEN {self._opinion()} ELSE {damped} END AS FLOAT)"


def _id_problems(name: str) -> dict[str, str]:
    return {
        f"{name} IS NULL OR {name} = ''": f"no-{name}",
        f"strlen({name}) > {LONGEST_ID}": f"{name}-too-long",
        f"regexp_matches({name}, '\\p{{Cc}}')": f"{name}-with-control-characters",
    }


def _not_a_number(name: str) -> str:
    number = f"{name}_number"
    return f"{name} IS NOT NULL AND ({number} IS NULL OR NOT isfinite({number})) AND {_as_text(name)} <> ''"


def _as_text(expression: str) -> str:
    return f"CAST({expression} AS VARCHAR)"
