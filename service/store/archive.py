"""The archive: every event for ever, as Parquet on a disk or in an object store.

A batch is one file, ``day=<UTC day>/events-<number>-<digest>.parquet``, that appears whole or not at all. Its name and
its bytes follow from what it holds, so that to write a batch a second time changes nothing. Training, exports and
rebuilds read the files; columns that a later release adds are passed over.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Set
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import duckdb
import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from models.errors import InvalidInputError, UnavailableError
from models.events import Event
from models.offers import Money, minor_unit_places

PAGE = 1_000
"""Events given at a time when files are read."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = {str: "VARCHAR", float: "DOUBLE", datetime: "TIMESTAMPTZ"}
_COLUMNS = (
    {"shard": "UTINYINT", "entry_id": "VARCHAR"}
    | {field.name: _TYPES[cast("type", field.type)] for field in fields(Event) if field.name != "value"}
    | {"value": "DOUBLE", "value_minor_units": "BIGINT", "value_currency_code": "VARCHAR"}
)
"""The columns of a file: those of an event, and its place in the log. ``value`` is in the currency's major unit, as
training sources have it."""


@dataclass(frozen=True, slots=True)
class ArchivedEvent:
    """Is an event with its place in the log: its shard, and the id of its entry there."""

    shard: int
    entry_id: str
    event: Event


class Archive:
    """Reads and writes the files. Failures of the disk or the object store are UnavailableError throughout."""

    def __init__(self, location: str) -> None:
        """``location`` is a folder, or a URL such as ``s3://bucket/prefix``; InvalidInputError when it is neither.

        Credentials for an object store are found where its own tools find them.
        """
        self.location = location
        self._root = None if "://" in location else Path(location).expanduser().absolute()
        try:
            self._remote = from_url(location) if self._root is None else None
        except (BaseError, ValueError) as error:
            raise InvalidInputError("archive", f"{location} cannot be used ({type(error).__name__})") from error

    def add(self, path: str, events: Iterable[ArchivedEvent]) -> None:
        """Write a file unless it is there. Returns when it is stored whole; on a disk, when it survives a power cut.

        A file that is there stays as it is: a writer that was halted for long finds an emptier log, or writes what
        was erased since.
        """
        self._put(path, events, "create")

    def replace(self, path: str, events: Iterable[ArchivedEvent]) -> None:
        """Write a file in place of the one that is there, in one step."""
        self._put(path, events, "overwrite")

    def paths(self) -> list[str]:
        """List the files, in the order of their names, which is that of their numbers within a day."""
        with _reaching(self.location):
            found = [entry["path"] for page in obstore.list(self._store) for entry in page]
        return sorted(path for path in found if path.endswith(".parquet"))

    @contextlib.contextmanager
    def local_copy(self) -> Iterator[Path]:
        """Give a folder that holds the files as long as the context: the archive itself when it is on a disk."""
        if self._root is not None:
            yield self._root
            return
        with tempfile.TemporaryDirectory(prefix="dangol-archive-") as directory:
            for path in self.paths():
                target = Path(directory) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                with _reaching(self.location):
                    target.write_bytes(obstore.get(self._store, path).bytes())
            yield Path(directory)

    def events(self) -> Iterator[list[ArchivedEvent]]:
        """Give everything, file by file, each in the order of the log."""
        with self.local_copy() as folder:
            for path in sorted(folder.rglob("*.parquet")):
                yield from read_file(path)

    def holding(self, erased: Set[str]) -> list[str]:
        """Name the files that hold customers, told by the SHA-256 of their ids."""
        with self.local_copy() as folder:
            return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.parquet")) if _holds(path, erased)]

    def erase(self, path: str, erased: Set[str]) -> None:
        """Leave customers out of a file."""
        with self.local_copy() as folder:
            events = (archived for page in read_file(folder / path) for archived in page)
            self.replace(path, (one for one in events if _sha256(one.event.customer_id) not in erased))

    @property
    def _store(self) -> ObjectStore:
        return LocalStore(prefix=self._root, mkdir=True) if self._remote is None else self._remote

    def _put(self, path: str, events: Iterable[ArchivedEvent], mode: Literal["create", "overwrite"]) -> None:
        with tempfile.TemporaryDirectory(prefix="dangol-archive-") as directory:
            file = _as_parquet(Path(directory), events)
            with _reaching(self.location):
                try:
                    # In parts an object store cannot tell whether the file is there.
                    obstore.put(self._store, path, file, mode=mode, use_multipart=False)
                except AlreadyExistsError:
                    return
                self._sync(path)

    def _sync(self, path: str) -> None:
        if self._root is None:
            return
        file = self._root / path
        for place in (file, file.parent, self._root):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def read_file(path: Path) -> Iterator[list[ArchivedEvent]]:
    """Give the events of one file in its order, some at a time. UnavailableError when it cannot be read.

    What an earlier release did not write has its default; what a later one wrote besides is passed over.
    """
    with _reaching(str(path)), duckdb.connect() as connection:
        rows = connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false) LIMIT 0", [str(path)])
        names = [column[0] for column in rows.description if column[0] in _COLUMNS]
        # Microseconds since 1970, as DuckDB would need another package for times with a zone.
        chosen = ", ".join("epoch_us(event_time)" if name == "event_time" else name for name in names)
        rows = connection.execute(f"SELECT {chosen} FROM read_parquet(?)", [str(path)])  # noqa: S608 - names of our own
        while page := rows.fetchmany(PAGE):
            yield [_event_of(dict(zip(names, row, strict=True))) for row in page]


def _holds(path: Path, erased: Set[str]) -> bool:
    query = "SELECT DISTINCT customer_id FROM read_parquet(?)"
    with _reaching(str(path)), duckdb.connect() as connection:
        return any(_sha256(row[0]) in erased for row in connection.execute(query, [str(path)]).fetchall())


def _sha256(customer_id: str) -> str:
    return hashlib.sha256(customer_id.encode()).hexdigest()


def _event_of(row: dict[str, Any]) -> ArchivedEvent:
    shard, entry_id = row.pop("shard"), row.pop("entry_id")
    minor_units, currency_code = row.pop("value_minor_units"), row.pop("value_currency_code")
    row["value"] = None if minor_units is None else Money(minor_units, currency_code)
    row["event_time"] = _EPOCH + timedelta(microseconds=row["event_time"])
    return ArchivedEvent(shard, entry_id, Event(**row))


def _as_parquet(directory: Path, events: Iterable[ArchivedEvent]) -> Path:
    """Lay events out as one Parquet file; the same events in the same order give the same bytes."""
    lines, target = directory / "events.jsonl", directory / "events.parquet"
    with lines.open("w", encoding="utf-8") as file:
        for archived in events:
            file.write(json.dumps(_row_of(archived), ensure_ascii=False) + "\n")
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        # Both paths and the columns are ours, and free of quotes.
        source = f"read_json('{lines}', format = 'newline_delimited', columns = {{{columns}}})"
        connection.execute(f"COPY (FROM {source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return target


def _row_of(archived: ArchivedEvent) -> dict[str, Any]:
    event = archived.event
    row = asdict(event) | {"shard": archived.shard, "entry_id": archived.entry_id, "value": None}
    row["event_time"] = event.event_time.astimezone(UTC).isoformat()
    if event.value is not None:
        money = event.value
        row["value"] = money.minor_units / 10 ** minor_unit_places(money.currency_code)
        row |= {"value_minor_units": money.minor_units, "value_currency_code": money.currency_code}
    return row


@contextlib.contextmanager
def _reaching(location: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError, duckdb.Error) as error:
        raise UnavailableError(f"the archive at {location} cannot be used now ({type(error).__name__})") from error
