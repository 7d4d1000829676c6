"""The catalogue in Redis: one hash for each kind of record, a version, and a bounded stream of changes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.catalog import Catalog, CatalogChange
from models.errors import ConflictError, UnavailableError
from models.offers import Placement
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
YIELD_EVERY = 256
"""Records decoded before the event loop gets a turn."""

KEPT_VERSIONS = 20
"""How many versions of each placement are kept; functions.lua says the same."""

_Entry = tuple[bytes, dict[bytes, bytes]]


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

    async def load(self, tenant: str) -> Catalog:
        """Load everything, as it is at one version, in small steps that hold nobody up. UnavailableError.

        The records are read while others may change them; the changes made meanwhile are applied on top, in order,
        which ends in the very state of the last of them, as each says what a record is and not how it differs.
        """
        for _ in range(LOAD_ATTEMPTS):
            version = await self.version(tenant)
            catalog = assemble(await self._scan(tenant), version)
            changes = await self.changes_since(tenant, version)
            if changes is not None:
                for change in changes:
                    catalog = catalog.apply(change)
                return catalog
        raise UnavailableError("the catalogue changes faster than it can be read")

    async def changes_since(self, tenant: str, version: int) -> list[CatalogChange] | None:
        """Give the changes that lead on from a version, in order; None when some are gone already: load again."""
        name = MetaKeys(tenant).catalog_changes
        with reaching_redis():
            entries = await self._client.execute_command("XRANGE", name, f"{version + 1}-0", "+")
        if entries:
            # Looked at before they are read: those that lead nowhere may be the whole catalogue over again.
            return await asyncio.to_thread(decode_changes, entries) if version_at(entries[0]) == version + 1 else None
        return [] if await self.version(tenant) == version else None

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

    async def _scan(self, tenant: str) -> list[Record]:
        records: list[Record] = []
        for kind in KINDS:
            name, cursor = MetaKeys(tenant).catalog_records(kind), 0
            while True:
                with reaching_redis():
                    cursor, page = await self._client.execute_command("HSCAN", name, cursor, "COUNT", SCAN_COUNTS[kind])
                for id_, content in page.items():
                    records.append(decode_record(kind, id_.decode(), content))
                    if len(records) % YIELD_EVERY == 0:
                        await asyncio.sleep(0)
                if cursor == 0:
                    break
        return records


def _version_of(placement: str, number: int, content: bytes) -> PlacementVersion:
    milliseconds, _, record = content.partition(b"\n")
    stored = decode_record("placements", placement, record) if record else None
    return PlacementVersion(
        number, datetime.fromtimestamp(int(milliseconds) / 1000, UTC), stored if isinstance(stored, Placement) else None
    )


def decode_changes(entries: Sequence[_Entry]) -> list[CatalogChange]:
    """Read entries of the stream of changes."""
    return [decode_change(entry[1][b"batch"], version_at(entry)) for entry in entries]


def version_at(entry: _Entry) -> int:
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
