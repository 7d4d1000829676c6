"""Catalogue and event log as JSON Lines files, from which an emptied Redis is filled again.

A catalogue file begins with ``{"format": 1, "kind": "catalog"}`` and holds ``{"kind", "id", "record"}`` a line; an
event file holds one event a line, as the log does. Files are written aside and renamed.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from models.catalog import Catalog, CatalogChange
from models.errors import InvalidInputError
from models.events import Event
from service.store.catalog_codec import Record, assemble, decode_record, encode_record, id_of, records_of
from service.store.event_codec import decode_event, encode_event

FORMAT = 1
BATCH = 1_000
"""Events that are read and stored at a time."""
CATALOG_BATCH = 250
"""Records that are stored at a time: Redis does nothing else for half a millisecond."""


def write_catalog(path: Path, catalog: Catalog) -> int:
    """Write a catalogue, ordered by kind and id, and give the number of its records."""
    count = 0
    with replacing(path) as file:
        file.write(json.dumps({"format": FORMAT, "kind": "catalog"}).encode() + b"\n")
        for kind, record in records_of(catalog):
            line = {"kind": kind, "id": id_of(record), "record": json.loads(encode_record(record))}
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def read_catalog(path: Path) -> Iterator[CatalogChange]:
    """Give the content of a catalogue file as batches. InvalidInputError names the file and line that is unusable."""
    with opened(path) as file:
        _check_header(path, file.readline())
        records = (_record_of(path, number, line) for number, line in enumerate(file, start=2))
        while batch := list(islice(records, CATALOG_BATCH)):
            yield assemble(batch, 0).as_change()


def write_events(path: Path, events: Iterable[Event]) -> int:
    """Write events, one a line, and give their number."""
    count = 0
    with replacing(path) as file:
        for event in events:
            file.write(encode_event(event) + b"\n")
            count += 1
    return count


def read_events(path: Path) -> Iterator[list[Event]]:
    """Give the events of a file in batches. InvalidInputError names the file and line that cannot be used."""
    with opened(path) as file:
        events = (_event_of(path, number, line) for number, line in enumerate(file, start=1))
        while batch := list(islice(events, BATCH)):
            yield batch


def _check_header(path: Path, line: bytes) -> None:
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if header != {"format": FORMAT, "kind": "catalog"}:
        raise InvalidInputError(f"{path}, line 1", f"is not the beginning of a catalogue file of format {FORMAT}")


def _record_of(path: Path, number: int, line: bytes) -> Record:
    try:
        fields = json.loads(line)
        return decode_record(fields["kind"], fields["id"], json.dumps(fields["record"]).encode())
    except (ValueError, KeyError, TypeError, InvalidInputError) as error:
        raise InvalidInputError(f"{path}, line {number}", f"is not a record of the catalogue ({error})") from error


def _event_of(path: Path, number: int, line: bytes) -> Event:
    try:
        return decode_event(line)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}, line {number}", "is not an event") from error


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Read a file. InvalidInputError naming it when that cannot be done."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidInputError(str(path), f"cannot be read ({error.strerror})") from error
    with file:
        yield file


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file that takes the place of the one at ``path`` when it is whole."""
    aside = path.with_name(f".{path.name}.writing")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
