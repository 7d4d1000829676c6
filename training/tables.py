"""Events that are held in memory, as sources that a run can read: data frames, Arrow tables, DuckDB relations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from models.errors import InvalidInputError

Events = Any
"""A path, glob or folder; a pandas or polars data frame, an Arrow table, a DuckDB relation; or a sequence of these."""


def sources_of(events: Events, directory: Path, name: str) -> list[str]:
    """Give sources for :func:`training.job.train`; tables are written as Parquet files under ``directory``.

    ``name`` begins their file names, and names the field where InvalidInputError says that something is no table.
    """
    several = events if isinstance(events, Sequence) and not isinstance(events, str) else [events]
    return [_source(part, directory / f"{name}-{number}.parquet", name) for number, part in enumerate(several)]


def _source(part: object, path: Path, name: str) -> str:
    if isinstance(part, str | Path):
        return str(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(part, duckdb.DuckDBPyRelation):
        # Only the connection that a relation came from can read it.
        part.write_parquet(str(path))
        return str(path)
    with duckdb.connect() as connection:
        try:
            connection.register("events", part)
        except duckdb.Error as error:
            kind = type(part).__name__
            wanted = "a path, a data frame, an Arrow table or a DuckDB relation"
            raise InvalidInputError(name, f"is {kind}, and must be {wanted}") from error
        connection.table("events").write_parquet(str(path))
    return str(path)
