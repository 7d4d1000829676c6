"""The catalogue in a worker: loaded once, then brought up to date change by change."""

import threading

from models.catalog import EMPTY_CATALOG, Catalog
from models.errors import UnavailableError
from service.store.catalog_codec import KINDS, Record, assemble, decode_record
from service.store.catalog_store import LOAD_ATTEMPTS, SCAN_COUNTS, decode_changes, version_at
from service.store.connection import SyncConnection
from service.store.faults import reaching_redis
from service.store.keys import MetaKeys


class CatalogFollower:
    """Gives the catalogue of a tenant to any thread, as long as it has triggers: workers need it for nothing else.

    What it does is what CatalogStore does, blocking.
    """

    def __init__(self, connection: SyncConnection, tenant: str) -> None:
        self._client = connection.client
        self._meta = MetaKeys(tenant)
        self._catalog = EMPTY_CATALOG
        self._lock = threading.Lock()

    def current(self) -> Catalog:
        """Give the catalogue as it is now, an empty one without triggers. UnavailableError."""
        with self._lock:
            if not self._has_triggers():
                self._catalog = EMPTY_CATALOG
            elif self._version() != self._catalog.version:
                self._catalog = self._newer(self._catalog)
            return self._catalog

    def _has_triggers(self) -> bool:
        with reaching_redis():
            return bool(self._client.execute_command("EXISTS", self._meta.catalog_records("triggers")))

    def _newer(self, catalog: Catalog) -> Catalog:
        for _ in range(LOAD_ATTEMPTS):
            newer = self._changed(catalog)
            if newer is not None:
                return newer
            # Too far behind: the records as they are, then what was changed while they were read.
            version = self._version()
            catalog = assemble(self._scan(), version)
        raise UnavailableError("the catalogue changes faster than it can be read")

    def _changed(self, catalog: Catalog) -> Catalog | None:
        """Apply the changes that lead on from a catalogue; None when some of them are gone."""
        with reaching_redis():
            entries = self._client.execute_command(
                "XRANGE", self._meta.catalog_changes, f"{catalog.version + 1}-0", "+"
            )
        if not entries:
            return catalog if self._version() == catalog.version else None
        if version_at(entries[0]) != catalog.version + 1:
            return None
        return catalog.apply(*decode_changes(entries))

    def _version(self) -> int:
        with reaching_redis():
            return int(self._client.execute_command("GET", self._meta.catalog_version) or 0)

    def _scan(self) -> list[Record]:
        records: list[Record] = []
        for kind in KINDS:
            name, cursor = self._meta.catalog_records(kind), 0
            while True:
                with reaching_redis():
                    cursor, page = self._client.execute_command("HSCAN", name, cursor, "COUNT", SCAN_COUNTS[kind])
                records += [decode_record(kind, id_.decode(), content) for id_, content in page.items()]
                if cursor == 0:
                    break
        return records
