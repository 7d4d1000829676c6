"""The published data sets with dates, as events of this product, cut where the month begins that lists foresee."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from cli.demo import data as groceries
from cli.demo.data import quoted
from models.progress import SilentProgress
from training.config import ItemTable

_COLUMNS = "customer_id, item_id, event_type, event_time, quantity, value"


@dataclass(frozen=True, slots=True)
class DatedSet:
    """Is one data set; ``write_source`` is given the folder with the sets and one for its own files.

    It gives the SQL of the events, and the table of the items.
    """

    cut: datetime
    write_source: Callable[[Path, Path], tuple[str, ItemTable]]


@dataclass(frozen=True, slots=True)
class EventFiles:
    """Leads to the events before ``cut`` alone, all that a model may know, to those with the rest, and to the items."""

    known: Path
    everything: Path
    items: ItemTable
    cut: datetime


def _completejourney(data: Path, folder: Path) -> tuple[str, ItemTable]:
    del data  # it comes as a package
    converted = groceries.prepare(groceries.locate(), folder, 0, SilentProgress())
    items = ItemTable(path=converted.folder / "items.parquet")
    return f"SELECT {_COLUMNS} FROM {quoted(converted.events)}", items


def _online_retail(data: Path, folder: Path) -> tuple[str, ItemTable]:
    """Give one order line, whose 168,000 would decide every share of revenue, no value; its purchase counts."""
    del folder
    source = quoted(data / "online_retail_ii" / "interactions.parquet")
    query = f"""SELECT user_id::VARCHAR AS customer_id, item_id, event AS event_type,
                      timestamp AT TIME ZONE 'UTC' AS event_time, quantity::DOUBLE AS quantity,
                      CASE WHEN item_id = '23843' AND quantity > 80000 THEN 0 ELSE quantity * price END AS value
               FROM {source}"""
    return query, ItemTable(path=data / "online_retail_ii" / "products.parquet")


DATED_SETS: Mapping[str, DatedSet] = {
    "completejourney": DatedSet(groceries.CUT, _completejourney),
    "online_retail_ii": DatedSet(datetime(2011, 11, 9, tzinfo=UTC), _online_retail),
}


def write_events(name: str, data: Path, folder: Path, *, customers: int, shuffled: bool) -> EventFiles:
    """Write a set's events into ``folder``: of that many customers, or of all when 0.

    ``shuffled`` deals the items out anew, those before the cut among themselves: only what is popular can be found.
    """
    dated = DATED_SETS[name]
    source, items = dated.write_source(data, folder)
    files = EventFiles(folder / "known.parquet", folder / "everything.parquet", items, dated.cut)
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute("SET enable_progress_bar = false")
        database.execute(f"CREATE VIEW source AS {source}")
        database.execute(f"CREATE TABLE events AS {_DRAWN}", {"customers": customers})
        if shuffled:
            database.execute(f"CREATE OR REPLACE TABLE events AS {_SHUFFLED}", {"cut": dated.cut})
        database.execute(f"COPY events TO {quoted(files.everything)} (FORMAT parquet)")
        known = f"FROM events WHERE event_time < TIMESTAMPTZ '{dated.cut.isoformat()}'"
        database.execute(f"COPY ({known}) TO {quoted(files.known)} (FORMAT parquet)")
    return files


_DRAWN = """
FROM source WHERE $customers = 0 OR customer_id IN (
    SELECT customer_id FROM source GROUP BY customer_id ORDER BY hash(customer_id), customer_id LIMIT $customers
)
"""

_SHUFFLED = f"""
WITH numbered AS (
    SELECT *, event_time < $cut AS is_known,
        row_number() OVER (PARTITION BY event_time < $cut ORDER BY {_COLUMNS}) AS place,
        row_number() OVER (PARTITION BY event_time < $cut ORDER BY hash({_COLUMNS})) AS drawn_place
    FROM events
)
SELECT taker.* EXCLUDE (is_known, place, drawn_place) REPLACE (giver.item_id AS item_id)
FROM numbered AS taker JOIN numbered AS giver
ON taker.is_known = giver.is_known AND taker.place = giver.drawn_place
"""
