"""The parts of a worker on the Redis of a test, and a look at what they left."""

from prometheus_client import CollectorRegistry

from models.candidates import CandidateList
from models.events import Event
from service.live.applier import Applier
from service.live.archiver import Archiver
from service.live.measures import Measures
from service.live.raiser import Raiser
from service.live.refresher import Refresher
from service.store import candidate_codec, keys
from service.store.archive import Archive
from service.store.archive_progress import ArchivedLog
from service.store.candidate_refresh import CandidateRefresh
from service.store.catalog_follower import CatalogFollower
from service.store.connection import SyncConnection
from service.store.event_log import append_blocking
from service.store.generation_record import GenerationRecord
from service.store.keys import MetaKeys
from service.store.lease import Lease
from service.store.log_group import LogGroup
from service.store.push_raising import PushRaising
from tests.live.conftest import TENANT


def applier(connection: SyncConnection, name: str = "one", patience: float = 0.0) -> Applier:
    refresher = Refresher(CandidateRefresh(connection, TENANT, 180), name)
    measures = Measures(CollectorRegistry())
    raiser = Raiser(PushRaising(connection, TENANT), CatalogFollower(connection, TENANT), measures, name, 300.0)
    return Applier(LogGroup(connection, TENANT, name), refresher, raiser, measures, patience)


def archiver(connection: SyncConnection, archive: Archive, name: str = "one", interval: float = 0.0) -> Archiver:
    lease = Lease(connection, MetaKeys(TENANT).archiving, name, 0.05)
    group = LogGroup(connection, TENANT, name)
    return Archiver(ArchivedLog(connection, TENANT), archive, group, lease, Measures(CollectorRegistry()), interval)


def record(connection: SyncConnection, *events: Event) -> None:
    append_blocking(connection, TENANT, events)


def work_off(applier: Applier) -> None:
    while applier.step():
        pass


def list_of(connection: SyncConnection, generation: int, customer_id: str = "ada") -> CandidateList | None:
    value = connection.client.execute_command("GET", keys.candidates_key(TENANT, generation, customer_id))
    return None if value is None else candidate_codec.decode(value, candidate_codec.digest_of(customer_id))


def rows_of(connection: SyncConnection, record: GenerationRecord, customer_id: str = "ada") -> list[int]:
    found = list_of(connection, record.generation, customer_id)
    return [] if found is None else [int(row) for row in found.candidates["row"]]


def length_of(connection: SyncConnection) -> int:
    return sum(lag.length for lag in LogGroup(connection, TENANT, "").lags())


def archived_ids(archive: Archive) -> list[str]:
    return sorted(entry.event.event_id for page in archive.events() for entry in page)
