"""What a table says of customers: numbers as they are, words by their place, and the groups that both make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInputError
from training.config import ColumnMapping, CustomerTable
from training.event_store import EventStore
from training.files import SourceFile, find_files, quote_name, quote_text
from training.people import NOBODY, People

NO_GROUP = -1

_MOST_WORDS = 64
"""Different words of an attribute that are told apart, the commonest; what has more of them tells customers by name."""

_GROUPS_OF_NUMBERS = 8


@dataclass(frozen=True, slots=True)
class CustomerAttributes:
    """Holds what is known of customers by their rows, of a attributes called ``names``.

    ``values`` (customers, a) float32 are numbers, of words the place in the alphabet of all words, NaN where unknown.
    ``groups`` (customers, a) int64 number those with one word, or with numbers in one eighth, NO_GROUP where unknown.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    groups: NDArray[np.int64]

    @classmethod
    def none(cls, customers: int) -> "CustomerAttributes":
        """Know nothing of so many customers."""
        return cls((), np.empty((customers, 0), dtype=np.float32), np.empty((customers, 0), dtype=np.int64))


def read_customer_attributes(
    store: EventStore, mapping: ColumnMapping, customers: int, people: People = NOBODY
) -> CustomerAttributes:
    """Read a table about the customers of a store that has read its events; nothing is known without a table.

    Columns that are segments join those of the events. An attribute all of whose values are numbers is one; of others
    capitals and spaces around are not told apart. ``people`` are who customers are learned as: of one with several ids
    the row of the id that sorts first counts. InvalidInputError names the file, and the line, column or customer in it
    that cannot be used.
    """
    table = mapping.customers
    if table is None:
        return CustomerAttributes.none(customers)
    [*files] = find_files([str(table.path)])
    names = _names_of(store, files, table)
    _keep_rows(store, files, table, names, people)
    for column in table.segments:
        store.add_segments(f"SELECT customer, {_said(names, column)} AS segment FROM said", mapping.prefix_of(column))
    attributes = [name for name in names if name not in table.segments or name in table.attributes]
    values = np.full((customers, len(attributes)), np.nan, dtype=np.float32)
    groups = np.full(values.shape, NO_GROUP, dtype=np.int64)
    for place, name in enumerate(attributes):
        rows, values_of, groups_of = _attribute(store, _said(names, name))
        values[rows, place], groups[rows, place] = values_of, groups_of
    return CustomerAttributes(tuple(attributes), values, groups)


def _said(names: Sequence[str], name: str) -> str:
    """Name the column of ``said`` that holds a column of the table, whatever that is called."""
    return f"said_{names.index(name)}"


def _attribute(store: EventStore, column: str) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Give the rows of those whose attribute is known, its value and its group."""
    found = store.table(
        f"""SELECT customer, lower({column}) AS word, coalesce(try_cast({column} AS DOUBLE), 'nan'::DOUBLE) AS number
            FROM said WHERE {column} <> '' ORDER BY customer"""
    )
    rows, numbers = found["customer"].astype(np.int64), found["number"]
    if np.isfinite(numbers).all():
        if len(numbers) == 0:
            return rows, numbers.astype(np.float32), rows
        bounds = np.unique(np.quantile(numbers, np.arange(1, _GROUPS_OF_NUMBERS) / _GROUPS_OF_NUMBERS))
        return rows, numbers.astype(np.float32), np.searchsorted(bounds, numbers, side="right")
    words, places, counts = np.unique(found["word"].astype(str), return_inverse=True, return_counts=True)
    commonest = np.sort(np.argsort(-counts, kind="stable")[:_MOST_WORDS])
    group = np.full(len(words), NO_GROUP, dtype=np.int64)
    group[commonest] = np.arange(len(commonest))
    kept = group[places] != NO_GROUP
    groups = group[places[kept]]
    return rows[kept], groups.astype(np.float32), groups


def _names_of(store: EventStore, files: Sequence[SourceFile], table: CustomerTable) -> Sequence[str]:
    """Give the columns to read, all of which are in every file; JSON Lines have none to look for them in."""
    told = tuple(dict.fromkeys((*table.attributes, *table.segments)))
    for file in files:
        columns = store.columns_of(file)
        if columns is None and not told:
            raise InvalidInputError("customers.attributes", f"name those of {file.path}; JSON Lines do not tell them")
        _check_columns(file, columns, (table.customer, *told))
        if columns is not None and not table.attributes:
            others = (name for name in columns if name not in (table.customer, *table.segments))
            told = tuple(dict.fromkeys((*told, *others)))
    if not told:
        raise InvalidInputError(str(files[0].path), "has no column besides the customer's")
    return told


def _check_columns(file: SourceFile, columns: Mapping[str, str] | None, wanted: Sequence[str]) -> None:
    for name in wanted:
        if columns is not None and name not in columns:
            problem = f"has no column {name!r} (for customers); it has {', '.join(columns)}"
            raise InvalidInputError(str(file.path), problem)


def _keep_rows(
    store: EventStore, files: Sequence[SourceFile], table: CustomerTable, names: Sequence[str], people: People
) -> None:
    """Keep as ``said`` one row per customer whom events know, all but the customer as text."""
    selected = " UNION ALL ".join(_rows_of(store, file, table, names) for file in files)
    store.keep("told", f"SELECT * FROM ({selected})")
    for file in files:
        store.refuse_malformed(file)
    _refuse_unusable(store, table)
    linked = [list(people.first_ids), list(people.first_ids.values())]
    firsts = "SELECT unnest(?::VARCHAR[]) AS id, unnest(?::VARCHAR[]) AS first_id"
    store.keep(
        "said",
        f"""SELECT customers.row AS customer, told.* EXCLUDE (id, file)
            FROM told LEFT JOIN ({firsts}) AS firsts USING (id)
            JOIN customers ON customers.id = coalesce(firsts.first_id, told.id)
            QUALIFY row_number() OVER (PARTITION BY customers.row ORDER BY told.id) = 1""",
        linked,
    )


def _rows_of(store: EventStore, file: SourceFile, table: CustomerTable, names: Sequence[str]) -> str:
    columns = store.columns_of(file)

    def text(name: str) -> str:
        column = quote_name(name)
        found = f"json_extract_string(json, {quote_text('$.' + column)})" if columns is None else column
        return f"coalesce(trim(CAST({found} AS VARCHAR)), '')"

    told = "".join(f", {text(name)} AS {_said(names, name)}" for name in names)
    return f"SELECT {text(table.customer)} AS id, {quote_text(str(file.path))} AS file{told} FROM {file.relation()}"


def _refuse_unusable(store: EventStore, table: CustomerTable) -> None:
    """InvalidInputError for rows of nobody, and for customers of whom two rows say something."""
    nobody = store.table("SELECT file, count(*) AS n FROM told WHERE id = '' GROUP BY file ORDER BY file LIMIT 1")
    for file, count in zip(nobody["file"].tolist(), nobody["n"].tolist(), strict=True):
        raise InvalidInputError(file, f"has {count} rows without a customer (column {table.customer!r})")
    twice = store.table("SELECT id, max(file) AS file FROM told GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT 1")
    for customer, file in zip(twice["id"].tolist(), twice["file"].tolist(), strict=True):
        raise InvalidInputError(file, f"says something of customer {customer!r} (column {table.customer!r}) twice")
