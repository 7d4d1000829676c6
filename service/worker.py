"""The worker's process: makes its parts, lets them work until it is told to stop, and ends in order.

Any number of workers may run. Each applies entries of the log in one thread; the one that holds the lease archives in
another, so that a slow disk or object store holds up nobody's candidates, and the one that holds another lease walks in
a third over all customers, for pushes that time and catalogue give reason for.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from threadpoolctl import threadpool_limits

from models.errors import UnavailableError
from service.live.applier import Applier
from service.live.archiver import Archiver
from service.live.measures import Measures
from service.live.raiser import Raiser
from service.live.refresher import Refresher
from service.live.status_page import status_page
from service.logs import configure_logs
from service.redis_access import redis_settings
from service.redis_place import redis_url
from service.settings import Settings, split_address
from service.store.archive import Archive
from service.store.archive_progress import ArchivedLog
from service.store.candidate_refresh import CandidateRefresh
from service.store.catalog_follower import CatalogFollower
from service.store.connection import SyncConnection, connect_blocking
from service.store.disk_wait import settle_blocking
from service.store.keys import MetaKeys
from service.store.lease import Lease
from service.store.log_group import LogGroup
from service.store.push_raising import PushRaising

_ARCHIVE_PAUSE = 1.0  # seconds between two looks whether it is time to archive, and how far behind the workers are
_PUSH_PAUSE = 1.0  # seconds between two looks whether it is time to walk over all customers
_RECOVERY_PAUSE = 0.5  # seconds after Redis or the archive failed
_LEASE_SECONDS = 30.0
_COMMAND_TIMEOUT = 30.0  # seconds: a worker is a job and has no caller who waits

_TURN = 0.000_1  # seconds until Python lets another thread go on; at its usual 5 ms answers of Redis wait for archiving

Step = Callable[[], bool]
"""Does some work, and tells whether there may be more at once."""


def work(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish what was begun and return.

    InvalidInputError when the archive or the address of the metrics cannot be used.
    """
    configure_logs(settings.log_level)
    sys.setswitchinterval(_TURN)
    stopping = _stop_on_signals()
    registry = CollectorRegistry()
    measures = Measures(registry)
    log = structlog.get_logger("dangol")
    with (
        redis_url(settings) as url,
        connect_blocking(redis_settings(settings, url), timeout=_COMMAND_TIMEOUT) as connection,
        threadpool_limits(limits=1, user_api="blas"),
        _page(settings, registry, measures) as port,
    ):
        name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        applier, archiver, pusher = _parts(settings, connection, measures, name)
        _tell_ready(settings, port)
        log.info("working", worker=name)
        archive_pause = min(_ARCHIVE_PAUSE, settings.archive_interval)
        push_pause = min(_PUSH_PAUSE, settings.push_interval)
        with ThreadPoolExecutor(2, thread_name_prefix="worker") as executor:
            others = [
                executor.submit(_repeat, "archive", archiver, archive_pause, stopping, measures),
                executor.submit(_repeat, "push", pusher, push_pause, stopping, measures),
            ]
            _repeat("apply", applier, settings.worker_interval, stopping, measures)
        for other in others:
            other.result()
    log.info("stopped")


def _parts(settings: Settings, connection: SyncConnection, measures: Measures, name: str) -> tuple[Step, Step, Step]:
    """Make what applies, what archives, and what walks over all customers for pushes."""
    tenant = settings.tenant
    group = LogGroup(connection, tenant, name)
    refresher = Refresher(CandidateRefresh(connection, tenant, settings.profile_days), name)
    archiver = Archiver(
        ArchivedLog(connection, tenant),
        Archive(settings.archive_location),
        group,
        Lease(connection, MetaKeys(tenant).archiving, name, _LEASE_SECONDS),
        measures,
        settings.archive_interval,
        settle=partial(settle_blocking, connection, tenant) if settings.durability == "fsync" else lambda: None,
    )

    def archive() -> bool:
        measures.lags(group.lags())
        return archiver.step()

    catalogs, pushes = CatalogFollower(connection, tenant), PushRaising(connection, tenant)
    raiser, walker = (Raiser(pushes, catalogs, measures, name, settings.push_interval) for _ in range(2))
    return Applier(group, refresher, raiser, measures, settings.worker_patience).step, archive, walker.step


def _repeat(task: str, step: Step, pause: float, stopping: threading.Event, measures: Measures) -> None:
    """Do steps until it is time to stop: at once while there is more, after a while when Redis or the archive failed.

    Whatever else ends them ends the other tasks too: a worker works whole or not at all.
    """
    log = structlog.get_logger("dangol")
    is_failing = False
    try:
        while not stopping.is_set():
            try:
                rest = 0 if step() else pause
            except UnavailableError as error:
                if not is_failing:
                    log.warning("interrupted", task=task, problem=str(error))
                is_failing, rest = True, _RECOVERY_PAUSE
            else:
                if is_failing:
                    log.info("goes on", task=task)
                is_failing = False
            measures.round(task, interrupted=is_failing)
            stopping.wait(rest)
    finally:
        stopping.set()


@contextlib.contextmanager
def _page(settings: Settings, registry: CollectorRegistry, measures: Measures) -> Iterator[int | None]:
    """Serve metrics and health, and give the port; None when they are off."""
    if settings.metrics_listen == "off":
        yield None
        return
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    host, port = split_address(settings.metrics_listen)
    with status_page(host, port, registry, measures.problem) as found:
        yield found


def _tell_ready(settings: Settings, port: int | None) -> None:
    """Say in a file that appears whole, when asked to, that the worker works and where its metrics are."""
    if settings.ready_file is None:
        return
    told: dict[str, str | int] = {"process_id": os.getpid()}
    if port is not None:
        told["metrics_address"] = f"{split_address(settings.metrics_listen)[0]}:{port}"
    beside = settings.ready_file.with_name(f".{settings.ready_file.name}.writing")
    beside.write_text(json.dumps(told))
    beside.replace(settings.ready_file)


def _stop_on_signals() -> threading.Event:
    """Give an event that SIGTERM and SIGINT set."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    return stopping
