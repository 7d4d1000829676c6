"""The events of a run inside DuckDB: read from the sources once, cleaned, numbered, and kept on disk.

Memory is bounded by DuckDB's limit: what does not fit is spilled. Everything taken out of here has one order and
integer sums, so that it is the same whatever the number of threads.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInputError
from models.progress import Progress
from training.config import ColumnMapping, Resources
from training.files import SourceFile, quote_name, quote_text, unreadable
from training.people import NOBODY, People
from training.refusals import RefusedReport
from training.rows import LONGEST_ID, MALFORMED, UNUSED_TYPE, RowRules

_RESTING_MEMORY_MB = 48
_IDS_PER_MB = 1_000  # told apart in one pass; with two threads DuckDB 2.0 ran out of memory beyond some 2,000
SECONDS_PER_DAY = 86_400

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class EventSummary:
    """Says what was read. Seconds are UTC since 1970 and span the used events, both ends inclusive."""

    rows: int
    events: int
    duplicates: int
    unused: int
    customers: int
    items: int
    first_second: int
    last_second: int

    @property
    def first_time(self) -> datetime:
        """Give the time of the first event, UTC."""
        return datetime.fromtimestamp(self.first_second, UTC)

    @property
    def last_time(self) -> datetime:
        """Give the time of the last event, UTC."""
        return datetime.fromtimestamp(self.last_second, UTC)


class EventStore:
    """Holds events in a DuckDB file of its own that goes when the context ends.

    After :meth:`read`: ``events(customer, item, type, seconds, amount, value)`` with rows in place of ids, sorted by
    customer; ``customers(id, row)`` and ``items(id, row)`` with rows in the order of the ids' bytes.
    """

    def __init__(self, resources: Resources, time_zone: str = "UTC") -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="dangol-train-", dir=resources.temporary_directory))
        self._connection = duckdb.connect(
            str(self._directory / "events.duckdb"),
            config={
                "memory_limit": f"{resources.memory_limit_mb}MB",
                "temp_directory": str(self._directory / "spill"),
                "threads": resources.threads,
                "preserve_insertion_order": False,
            },
        )
        # DuckDB would draw a bar of its own on stdout, where a command's answer belongs.
        # In a notebook without its widgets there is none, and DuckDB refuses to be told so.
        [(draws,)] = self._connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
        if draws:
            self._connection.execute("SET enable_progress_bar = false")
        # Compressing what is read a few times and thrown away costs more than reading it.
        self._connection.execute("SET force_compression = 'uncompressed'")
        self._connection.execute(f"SET TimeZone = {quote_text(time_zone)}")
        self._memory_limit_mb = resources.memory_limit_mb
        self._mapping = ColumnMapping()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def read(
        self, files: Sequence[SourceFile], rules: RowRules, progress: Progress, people: People = NOBODY
    ) -> tuple[EventSummary, RefusedReport]:
        """Read all files. InvalidInputError names the file that cannot be read, or says that nothing can be learned."""
        self._mapping = rules.mapping
        self._create_raw()
        with progress.stage("read", len(files)) as stage:
            for file in files:
                self._read_file(file, rules)
                stage.advance()
        people.apply(self._connection)
        rows = self._count("SELECT count(*) FROM raw")
        refused = self._refused(rules.configuration.refused_sample)
        with progress.stage("number", 3) as stage:
            duplicates = self._remove_duplicates()
            stage.advance()
            self._number("customer", "customers")
            self._number("item", "items")
            stage.advance()
            self._create_events()
            self._create_segments()
            stage.advance()
        unused = self._count(f"SELECT count(*) FROM raw WHERE refused IS NULL AND type = {UNUSED_TYPE}")
        self._connection.execute("DROP TABLE raw")
        return self._summary(rows, duplicates, unused, refused), refused

    def rest(self) -> None:
        """Give memory back until the next query: what is cached can be read again from disk."""
        self._connection.execute(f"SET memory_limit = '{_RESTING_MEMORY_MB}MB'")
        self._connection.execute(f"SET memory_limit = '{self._memory_limit_mb}MB'")

    def table(self, query: str, parameters: Sequence[object] = ()) -> Columns:
        """Run a query and give its columns as arrays; none of them may hold NULL."""
        return {
            name: np.ma.getdata(column)
            for name, column in self._connection.execute(query, parameters).fetchnumpy().items()
        }

    def columns_of(self, file: SourceFile) -> dict[str, str] | None:
        """Give a file's columns and their SQL types, as :meth:`SourceFile.columns` says."""
        return file.columns(self._connection)

    def keep(self, name: str, query: str, parameters: Sequence[object] = ()) -> None:
        """Keep what a query gives as a table of that name."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote_name(name)} AS {query}", parameters)

    def refuse_malformed(self, file: SourceFile) -> None:
        """InvalidInputError naming the first line of a file, read by now, that DuckDB could not take apart."""
        if not self._has_rejects():
            return
        found = self._connection.execute(
            """SELECT line, error_message FROM reject_errors JOIN reject_scans USING (scan_id, file_id)
               WHERE file_path = ? ORDER BY line LIMIT 1""",
            [str(file.path)],
        ).fetchall()
        for line, problem in found:
            raise InvalidInputError(str(file.path), f"cannot be read at line {line} ({problem.splitlines()[0]})")

    def add_segments(self, query: str, prefix: str) -> None:
        """Put customers into segments by a query that gives each ``customer`` once, as a row, and their ``segment``."""
        self._connection.execute(
            f"""INSERT INTO memberships SELECT ? || segment, customer FROM ({query})
                WHERE segment <> '' AND strlen(segment) + {len(prefix.encode())} <= {LONGEST_ID}""",
            [prefix],
        )

    def ids(self, table: str, first: int = 0, stop: int = 2**62) -> list[str]:
        """Give the ids of ``customers`` or ``items`` in rows ``first`` … ``stop`` - 1."""
        query = f"SELECT id FROM {quote_name(table)} WHERE row >= ? AND row < ? ORDER BY row"
        return [row[0] for row in self._connection.execute(query, [first, stop]).fetchall()]

    def ids_at(self, table: str, rows: NDArray[np.int64]) -> list[str]:
        """Give the ids of ``customers`` or ``items`` in these rows, which ascend."""
        query = f"SELECT id FROM {quote_name(table)} WHERE row IN (SELECT unnest(CAST(? AS INTEGER[]))) ORDER BY row"
        return [row[0] for row in self._connection.execute(query, [rows.tolist()]).fetchall()]

    def events_per_day(self, stop_second: int, most: int) -> dict[str, int]:
        """Count the events of the last ``most`` days (UTC) before a second that have any, by ISO date."""
        found = self._connection.execute(
            f"""SELECT seconds // {SECONDS_PER_DAY} AS day, count(*) FROM events WHERE seconds < ?
                GROUP BY day ORDER BY day DESC LIMIT ?""",
            [stop_second, most],
        ).fetchall()
        days = ((datetime.fromtimestamp(day * SECONDS_PER_DAY, UTC).date().isoformat(), count) for day, count in found)
        return dict(sorted(days))

    def _create_raw(self) -> None:
        segments = "".join(f", segment_{index} VARCHAR" for index in range(len(self._mapping.segments)))
        self._connection.execute(
            f"CREATE TABLE raw (customer VARCHAR, item VARCHAR, type UTINYINT, seconds BIGINT, amount FLOAT,"
            f" value FLOAT, event_hash UBIGINT, refused VARCHAR{segments})"
        )

    def _read_file(self, file: SourceFile, rules: RowRules) -> None:
        columns = file.columns(self._connection)
        try:
            self._connection.execute(f"INSERT INTO raw {rules.select(file, columns)}")
        except duckdb.Error as error:
            raise unreadable(file, error) from error

    def _refused(self, sample_size: int) -> RefusedReport:
        """Count what was refused. Lines that DuckDB itself could not take apart stand in its table of rejects."""
        marked = """SELECT json_extract_string(refused, '$.reason') AS reason, refused AS content
                    FROM raw WHERE refused IS NOT NULL"""
        rejected = f"""SELECT '{MALFORMED}', to_json(struct_pack(reason := '{MALFORMED}', line,
                       content := first(csv_line), problem := first(error_message)))
                       FROM reject_errors GROUP BY scan_id, file_id, line"""
        together = f"{marked} UNION ALL {rejected}" if self._has_rejects() else marked
        self._connection.execute(f"CREATE TEMP TABLE refusals AS {together}")
        counts = self._connection.execute(
            "SELECT reason, count(*) FROM refusals GROUP BY reason ORDER BY reason"
        ).fetchall()
        sample = self._connection.execute(
            "SELECT content FROM refusals QUALIFY row_number() OVER (PARTITION BY reason ORDER BY content) <= ?"
            " ORDER BY reason, content",
            [sample_size],
        ).fetchall()
        return RefusedReport(dict(counts), tuple(json.loads(row[0]) for row in sample))

    def _has_rejects(self) -> bool:
        return self._count("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'") > 0

    def _remove_duplicates(self) -> int:
        """Keep one row of each event id, the earliest. Counting first is cheap and mostly finds that all is well.

        Ids are told apart by a hash of 64 bits: among 100 million, one in 4,000 runs takes two for one.
        """
        named = "refused IS NULL AND event_hash IS NOT NULL"
        query = f"SELECT count(*) - count(DISTINCT event_hash) FROM raw WHERE {named}"
        if self._count(query) == 0:
            return 0
        everything = "seconds, customer, item, type, amount, value"
        before = self._count("SELECT count(*) FROM raw")
        self._connection.execute(
            f"""CREATE TABLE kept AS SELECT * FROM raw QUALIFY NOT ({named})
                OR row_number() OVER (PARTITION BY refused IS NULL, event_hash ORDER BY {everything}) = 1"""
        )
        self._connection.execute("DROP TABLE raw")
        self._connection.execute("ALTER TABLE kept RENAME TO raw")
        return before - self._count("SELECT count(*) FROM raw")

    def _number(self, column: str, table: str) -> None:
        """Number the ids. They are found in passes of a part each, as what is told apart has to fit into memory."""
        used = f"refused IS NULL AND type <> {UNUSED_TYPE}"
        about = self._count(f"SELECT approx_count_distinct({column}) FROM raw WHERE {used}")
        passes = 1 + about // (_IDS_PER_MB * self._memory_limit_mb)
        self._connection.execute("CREATE TABLE found (id VARCHAR)")
        for part in range(passes):
            those = f"{used} AND hash({column}) % {passes} = {part}"
            self._connection.execute(f"INSERT INTO found SELECT DISTINCT {column} FROM raw WHERE {those}")
        self._connection.execute(
            f"CREATE TABLE {table} AS SELECT id, CAST(row_number() OVER (ORDER BY id) - 1 AS INTEGER) AS row FROM found"
        )
        self._connection.execute("DROP TABLE found")

    def _create_events(self) -> None:
        self._connection.execute(
            f"""CREATE TABLE events AS
                SELECT customers.row AS customer, items.row AS item, type, seconds, amount, coalesce(value, 0) AS value
                FROM raw JOIN customers ON customers.id = raw.customer JOIN items ON items.id = raw.item
                WHERE refused IS NULL AND type <> {UNUSED_TYPE}
                ORDER BY customers.row"""
        )

    def _create_segments(self) -> None:
        """Put each customer into the segment that most of the customer's events name, per segment column."""
        self._connection.execute("CREATE TABLE memberships (segment VARCHAR, customer INTEGER)")
        for index, column in enumerate(self._mapping.segments):
            prefix = self._mapping.prefix_of(column)
            self.add_segments(
                f"""SELECT customer, segment FROM (
                      SELECT customers.row AS customer, segment_{index} AS segment, count(*) AS events
                      FROM raw JOIN customers ON customers.id = raw.customer
                      WHERE refused IS NULL AND segment_{index} <> ''
                        AND strlen(segment_{index}) + {len(prefix.encode())} <= {LONGEST_ID} GROUP BY ALL)
                    QUALIFY row_number() OVER (PARTITION BY customer ORDER BY events DESC, segment) = 1""",
                prefix,
            )

    def _summary(self, rows: int, duplicates: int, unused: int, refused: RefusedReport) -> EventSummary:
        query = """SELECT count(*), coalesce(min(seconds), 0), coalesce(max(seconds), 0),
                          (SELECT count(*) FROM customers), (SELECT count(*) FROM items) FROM events"""
        events, first, last, customers, items = self._connection.execute(query).fetchall()[0]
        if not events:
            reasons = ", ".join(f"{count} {reason}" for reason, count in refused.counts.items()) or "there were none"
            raise InvalidInputError("sources", f"none of {rows} rows can be learned from (refused: {reasons})")
        return EventSummary(rows, events, duplicates, unused, customers, items, first, last)

    def _count(self, query: str) -> int:
        return int(self._connection.execute(query).fetchall()[0][0])
