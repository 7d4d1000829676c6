"""The files that a run reads, and how DuckDB reads each kind of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import duckdb

from models.errors import InvalidInputError


class FileKind(Enum):
    """Tells how a file is read. The value is what its name ends in, before ``.gz``."""

    PARQUET = ".parquet"
    CSV = ".csv"
    JSON_LINES = ".jsonl"


_SUFFIXES = {
    ".parquet": FileKind.PARQUET,
    ".csv": FileKind.CSV,
    ".jsonl": FileKind.JSON_LINES,
    ".ndjson": FileKind.JSON_LINES,
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """Is one file to read."""

    path: Path
    kind: FileKind

    def relation(self) -> str:
        """Give the SQL that reads the file. CSV is read as text: what a value means is decided once, for every kind."""
        path = quote_text(str(self.path))
        match self.kind:
            case FileKind.PARQUET:
                return f"read_parquet({path})"
            case FileKind.CSV:
                return f"read_csv({path}, header = true, all_varchar = true, store_rejects = true, rejects_limit = 0)"
            case FileKind.JSON_LINES:
                return f"read_ndjson_objects({path}, ignore_errors = true)"

    def columns(self, connection: duckdb.DuckDBPyConnection) -> dict[str, str] | None:
        """Give the columns with their SQL types; None for JSON Lines, whose rows may each have others.

        InvalidInputError naming the file when it cannot be read as what it is called.
        """
        try:
            connection.execute(f"DESCRIBE SELECT * FROM {self.relation()}")
        except duckdb.Error as error:
            raise unreadable(self, error) from error
        rows = connection.fetchall()
        return None if self.kind is FileKind.JSON_LINES else {row[0]: row[1] for row in rows}


def find_files(sources: Sequence[str]) -> list[SourceFile]:
    """Resolve files, globs and folders (searched to the bottom) into files, each once, in the order of their paths.

    InvalidInputError naming the source that leads to nothing readable.
    """
    found: dict[Path, SourceFile] = {}
    for source in sources:
        files = [SourceFile(path, kind) for path in _paths_of(source) if (kind := _kind_of(path))]
        if not files:
            endings = ", ".join(sorted(_SUFFIXES))
            raise InvalidInputError(
                source, f"leads to no file that ends in one of {endings} (.csv and .jsonl also with .gz)"
            )
        found |= {file.path.resolve(): file for file in files}
    if not found:
        raise InvalidInputError("sources", "name at least one file, glob or folder")
    return [found[path] for path in sorted(found)]


def unreadable(file: SourceFile, error: duckdb.Error) -> InvalidInputError:
    """Say that a file cannot be read, with the first line of what DuckDB found."""
    return InvalidInputError(str(file.path), f"cannot be read as {file.kind.value[1:]} ({str(error).splitlines()[0]})")


def quote_text(text: str) -> str:
    """Write a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Write a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _paths_of(source: str) -> list[Path]:
    path = Path(source)
    if path.is_dir():
        return sorted(child for child in path.rglob("*") if child.is_file())
    if path.is_file():
        return [path]
    anchor = Path(path.anchor)
    return sorted(match for match in anchor.glob(str(path.relative_to(anchor))) if match.is_file())


def _kind_of(path: Path) -> FileKind | None:
    name = path.name.lower()
    compressed = name.endswith(".gz")
    kind = _SUFFIXES.get(Path(name.removesuffix(".gz")).suffix)
    return None if compressed and kind is FileKind.PARQUET else kind
