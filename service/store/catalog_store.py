"""The catalogue in Redis: one hash for each kind of record, a version, and a bounded stream of changes."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from models.catalog import EMPTY_CATALOG, Catalog, CatalogChange
from models.errors import ConflictError, UnavailableError
from models.offers import Placement
from models.pace import Pace, unpaced
from service.store import functions
from service.store.catalog_codec import (
    ETAG_LENGTH,
    KINDS,
    Record,
    assemble,
    decode_change,
    decode_record,
    encode_change,
)
from service.store.connection import AsyncConnection, SyncConnection
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall
from service.store.keys import EPOCH, MetaKeys

MAXIMAL_CHANGES = 1_000
MAXIMAL_CHANGES_BYTES = 16 * 1024 * 1024
"""What the stream of changes may hold; a server further behind than that loads everything again."""
SCAN_COUNTS = {"items": 500, "offers": 50, "placements": 500, "audiences": 5, "experiments": 100, "triggers": 100}
"""Records read at a time: an audience or an offer can be a megabyte."""
LOAD_ATTEMPTS = 5
CHANGES_AT_ONCE = 16
"""Batches of changes read at a time: one can be a few megabytes."""

KEPT_VERSIONS = 20
"""How many versions of each placement are kept; functions.lua says the same."""

Entry = tuple[bytes, dict[bytes, bytes]]
"""Of the stream of changes: its id, and the batch under ``batch``."""


@dataclass(frozen=True, slots=True)
class PlacementVersion:
    """Is what was stored under the name of a placement from ``store_time`` (UTC) on; None when it was deleted."""

    version: int
    store_time: datetime
    placement: Placement | None


class CatalogStore:
    """Keeps the catalogue. A batch is applied whole or not at all, and its content stands in the stream of changes."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._client = connection.client

    async def apply(self, tenant: str, change: CatalogChange, timeout: float) -> int:
        """Apply a batch and give the version of the catalogue from then on.

        UnavailableError when it is not known to be stored after ``timeout`` seconds; to apply it again is safe, but
        for its expectations. ConflictError when one of those is not met; nothing is stored then.
        """
        with reaching_redis():
            async with asyncio.timeout(timeout):
                return _checked(await functions.call(self._connection, apply_call(tenant, change)), change)

    async def version(self, tenant: str) -> int:
        """Give the version of the catalogue: 0 before the first change."""
        with reaching_redis():
            return int(await self._client.execute_command("GET", MetaKeys(tenant).catalog_version) or 0)

    async def follow(self, tenant: str, catalog: Catalog, pace: Pace = unpaced) -> Catalog:
        """Give the catalogue as it is now, by what changed since ``catalog`` if that is still known. UnavailableError.

        What is long about it runs on a thread, at a pace.
        """
        changes = None if catalog is EMPTY_CATALOG else await self.changes_since(tenant, catalog.version, pace)
        if changes is None:
            return await self.load(tenant, pace)
        return await asyncio.to_thread(partial(catalog.apply, *changes, pace=pace))

    async def load(self, tenant: str, pace: Pace = unpaced) -> Catalog:
        """Load everything, as it is at one version, in small steps that hold nobody up. UnavailableError.

        The records are read while others may change them; the changes made meanwhile are applied on top, in order,
        which ends in the very state of the last of them, as each says what a record is and not how it differs.
        """
        for _ in range(LOAD_ATTEMPTS):
            version = await self.version(tenant)
            catalog = await asyncio.to_thread(assemble, await self._scan(tenant, pace), version)
            changes = await self.changes_since(tenant, version, pace)
            if changes is not None:
                return await asyncio.to_thread(partial(catalog.apply, *changes, pace=pace))
        raise UnavailableError("the catalogue changes faster than it can be read")

    async def changes_since(self, tenant: str, version: int, pace: Pace = unpaced) -> list[CatalogChange] | None:
        """Give the changes that lead on from a version, in order; None when some are gone already: load again."""
        entries = await self._entries_after(tenant, version)
        if not entries:
            return [] if await self.version(tenant) == version else None
        # The stream may have been trimmed before it was read, and between two pages.
        if version_at(entries[-1]) != version + len(entries):
            return None
        return await asyncio.to_thread(decode_changes, entries, pace)

    async def _entries_after(self, tenant: str, version: int) -> list[Entry]:
        name, entries = MetaKeys(tenant).catalog_changes, list[Entry]()
        while True:
            after = version_at(entries[-1]) if entries else version
            with reaching_redis():
                page = await self._client.execute_command("XRANGE", name, f"({after}-0", "+", "COUNT", CHANGES_AT_ONCE)
            entries += page
            if len(page) < CHANGES_AT_ONCE:
                return entries

    async def placement_versions(self, tenant: str, placement: str) -> list[PlacementVersion]:
        """List what was stored under the name of a placement, newest first, at most KEPT_VERSIONS. UnavailableError."""
        name = MetaKeys(tenant).placement_versions
        with reaching_redis():
            newest = int(await self._client.execute_command("HGET", name, placement) or 0)
            numbers = range(newest, max(0, newest - KEPT_VERSIONS), -1)
            fields = [f"{placement}/{number}" for number in numbers]
            contents = await self._client.execute_command("HMGET", name, *fields) if fields else []
        return [
            _version_of(placement, number, content)
            for number, content in zip(numbers, contents, strict=True)
            if content is not None
        ]

    async def _scan(self, tenant: str, pace: Pace) -> list[Record]:
        records: list[Record] = []
        for kind in KINDS:
            name, cursor = MetaKeys(tenant).catalog_records(kind), 0
            while True:
                with reaching_redis():
                    cursor, page = await self._client.execute_command("HSCAN", name, cursor, "COUNT", SCAN_COUNTS[kind])
                records += await asyncio.to_thread(_decoded, kind, page, pace)
                if cursor == 0:
                    break
        return records


def _decoded(kind: str, page: Mapping[bytes, bytes], pace: Pace) -> list[Record]:
    """Read what a scan found."""
    records = []
    for id_, content in page.items():
        records.append(decode_record(kind, id_.decode(), content))
        pace()
    return records


def _version_of(placement: str, number: int, content: bytes) -> PlacementVersion:
    milliseconds, _, record = content.partition(b"\n")
    stored = decode_record("placements", placement, record) if record else None
    return PlacementVersion(
        number, datetime.fromtimestamp(int(milliseconds) / 1000, UTC), stored if isinstance(stored, Placement) else None
    )


def decode_changes(entries: Iterable[Entry], pace: Pace = unpaced) -> list[CatalogChange]:
    """Read entries of the stream of changes."""
    return [decode_change(entry[1][b"batch"], version_at(entry), pace) for entry in entries]


def version_at(entry: Entry) -> int:
    """Give the version of the catalogue that an entry of the stream of changes leads to."""
    return int(entry[0].partition(b"-")[0])


def apply_blocking(connection: SyncConnection, tenant: str, change: CatalogChange) -> int:
    """Apply a batch as :meth:`CatalogStore.apply` does, blocking."""
    with reaching_redis():
        return _checked(functions.call_blocking(connection, apply_call(tenant, change)), change)


def _checked(version: int, change: CatalogChange) -> int:
    """Give the version; below 0 it is the number of the expectation that was not met."""
    if version >= 0:
        return version
    missed = change.expectations[-version - 1]
    raise ConflictError(f"{missed.kind}: {missed.record_id} is not what its etag says any more; read it again")


def read_record(connection: SyncConnection, tenant: str, kind: str, id_: str) -> Record | None:
    """Read one record of a kind, blocking; None when there is none. UnavailableError."""
    with reaching_redis():
        content = connection.client.execute_command("HGET", MetaKeys(tenant).catalog_records(kind), id_)
    return None if content is None else decode_record(kind, id_, content)


def apply_call(tenant: str, change: CatalogChange) -> FunctionCall:
    """Make the call that applies a batch."""
    meta = MetaKeys(tenant)
    names = (
        meta.catalog_version,
        meta.catalog_changes,
        meta.catalog_changes_bytes,
        meta.placement_versions,
        *(meta.catalog_records(kind) for kind in KINDS),
    )
    first_version = int((datetime.now(UTC) - EPOCH).total_seconds())
    return FunctionCall(
        functions.APPLY_CATALOG,
        names,
        (encode_change(change), MAXIMAL_CHANGES, MAXIMAL_CHANGES_BYTES, first_version, *_expected(change)),
    )


def _expected(change: CatalogChange) -> Iterator[str | int]:
    for expectation in change.expectations:
        yield from (KINDS.index(expectation.kind), expectation.record_id, expectation.etag.ljust(ETAG_LENGTH))
