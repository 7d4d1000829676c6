"""What items are called, for people: from a catalogue export or any file with a column of ids and one of names."""

import json
from collections.abc import Mapping
from pathlib import Path

import duckdb

from models.errors import InvalidInputError
from training.files import find_files, quote_name, unreadable

_IDS = ("item_id", "product_id", "sku", "id")
_NAMES = ("name", "title", "description", "product_name")


def read_names(path: Path) -> Mapping[str, str]:
    """Give the names of items by id. InvalidInputError names the file, or the columns that it lacks."""
    with path.open("rb") as file:
        first = file.readline()
    if first.startswith(b'{"format"'):
        return _of_catalog(path)
    [source] = find_files([str(path)])
    with duckdb.connect() as connection:
        columns = {name.lower(): name for name in source.columns(connection) or ()}
        ids, names = (next((columns[name] for name in known if name in columns), None) for known in (_IDS, _NAMES))
        if ids is None or names is None:
            raise InvalidInputError(
                str(path), f"needs a column of ids ({', '.join(_IDS)}) and of names ({', '.join(_NAMES)})"
            )
        query = (
            f"SELECT CAST({quote_name(ids)} AS VARCHAR), CAST({quote_name(names)} AS VARCHAR) FROM {source.relation()}"
        )
        try:
            return {str(item): str(name) for item, name in connection.execute(query).fetchall() if item and name}
        except duckdb.Error as error:
            raise unreadable(source, error) from error


def _of_catalog(path: Path) -> Mapping[str, str]:
    names = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=2):
        try:
            entry = json.loads(line)
            if entry["kind"].startswith("item"):
                names[entry["id"]] = entry["record"].get("title") or entry["id"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInputError(f"{path}, line {number}", "is no record of a catalogue export") from error
    return names
