"""What tables say: of items the words that alike ones share and their families, and what is known of customers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.errors import InvalidInputError
from training.config import ColumnMapping, ItemTable
from training.customer_attributes import CustomerAttributes, read_customer_attributes
from training.event_store import EventStore, EventSummary
from training.files import SourceFile, find_files, quote_name, quote_text
from training.people import NOBODY, People

NO_FAMILY = -1

_ITEMS_PER_FAMILY = 2.0
"""Items that an attribute's values have on average if it tells families; fewer, and it rather names single items."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """Holds what is known of items and customers by their rows.

    ``words`` (items, w) float32 is 1 where an attribute's value, or one word of it, belongs to the item. ``families``
    (items,) int64 numbers the values of the attribute that divides the items most finely, NO_FAMILY where it is
    unknown. ``customers`` is what is known of them.
    """

    words: csr_matrix
    families: NDArray[np.int64]
    customers: CustomerAttributes


def read_attributes(
    store: EventStore, mapping: ColumnMapping, summary: EventSummary, people: People = NOBODY
) -> Attributes:
    """Read the tables about the items and the customers of a store that has read its events.

    Nothing is known without a table. Of items, capitals and spaces around are not told apart; of several rows of one
    each attribute's first value in order of the alphabet counts. InvalidInputError names the file that cannot be read
    and the column that it lacks.
    """
    customers = read_customer_attributes(store, mapping, summary.customers, people)
    return Attributes(*_items(store, mapping.items, summary.items), customers)


def _items(store: EventStore, table: ItemTable | None, items: int) -> tuple[csr_matrix, NDArray[np.int64]]:
    if table is None:
        return csr_matrix(np.empty((items, 0), dtype=np.float32)), np.full(items, NO_FAMILY, dtype=np.int64)
    values = " UNION ALL ".join(_values_of(store, file, table) for file in find_files([str(table.path)]))
    values = f"SELECT item, attribute, min(value) AS value FROM ({values}) WHERE value <> '' GROUP BY item, attribute"
    store.keep("attribute_values", values)
    words = store.table(_WORDS)
    shape = (items, int(words["word"].max(initial=-1)) + 1)
    ones = np.ones(len(words["item"]), dtype=np.float32)
    return csr_matrix((ones, (words["item"], words["word"])), shape=shape), _families(store, items)


_WORDS = r"""
WITH said AS (
    SELECT item, attribute, value AS word FROM attribute_values
    UNION
    SELECT item, attribute, unnest(string_split_regex(value, '[^\p{L}\p{N}]+')) FROM attribute_values
),
shared AS (
    SELECT attribute, word, row_number() OVER (ORDER BY attribute, word) - 1 AS number
    FROM said WHERE word <> '' GROUP BY attribute, word HAVING count(*) > 1
)
SELECT item, number AS word FROM said JOIN shared USING (attribute, word) ORDER BY item, word
"""
"""Words that one item alone has say nothing of others."""


def _families(store: EventStore, items: int) -> NDArray[np.int64]:
    """Number the values of the attribute with the most of them, among those that tell families."""
    families = np.full(items, NO_FAMILY, dtype=np.int64)
    finest = store.table(
        """SELECT attribute FROM attribute_values GROUP BY attribute HAVING count(*) >= ? * count(DISTINCT value)
           ORDER BY count(DISTINCT value) DESC, attribute LIMIT 1""",
        [_ITEMS_PER_FAMILY],
    )["attribute"].tolist()
    if finest:
        found = store.table(
            """SELECT item, dense_rank() OVER (ORDER BY value) - 1 AS family FROM attribute_values
               WHERE attribute = ? ORDER BY item""",
            finest,
        )
        families[found["item"]] = found["family"]
    return families


def _values_of(store: EventStore, file: SourceFile, table: ItemTable) -> str:
    """Give the SQL of (item, attribute, value) from one file."""
    columns = store.columns_of(file)

    def text(name: str) -> str:
        column = quote_name(name)
        return f"json_extract_string(json, {quote_text('$.' + column)})" if columns is None else column

    told = " UNION ALL ".join(
        f"SELECT CAST({text(table.item)} AS VARCHAR) AS id, {quote_text(name)} AS attribute,"
        f" lower(trim(CAST({text(name)} AS VARCHAR))) AS value FROM {file.relation()}"
        for name in _attributes_of(file, columns, table)
    )
    return f"SELECT items.row AS item, attribute, value FROM ({told}) JOIN items USING (id)"


def _attributes_of(file: SourceFile, columns: Mapping[str, str] | None, table: ItemTable) -> Sequence[str]:
    """Give the columns to read, all of which are there; JSON Lines have no columns to look for them in."""
    if columns is None:
        if not table.attributes:
            raise InvalidInputError("items.attributes", f"name those of {file.path}; JSON Lines do not tell them")
        return table.attributes
    of_text = [name for name, kind in columns.items() if kind == "VARCHAR" and name != table.item]
    attributes = table.attributes or of_text
    for name in (table.item, *attributes):
        if name not in columns:
            problem = f"has no column {name!r} (for items); it has {', '.join(columns)}"
            raise InvalidInputError(str(file.path), problem)
    if not attributes:
        raise InvalidInputError(str(file.path), "has no column of text besides the item's")
    return attributes
