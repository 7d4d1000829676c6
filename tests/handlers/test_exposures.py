from collections.abc import AsyncIterator

import pytest

from models.events import EXPOSURE, Event
from service.decision.query import Query, SlateQuery, Treatment
from service.handlers.exposures import Exposures
from service.store.connection import AsyncConnection, RedisSettings, connect, connect_blocking
from service.store.customer_reader import CustomerReader
from service.store.event_log import EventLog, read_log
from tests.decision.samples import HOME, NOW
from tests.redis_fixtures import patient

DAY = 86_400
MET = Query([SlateQuery(HOME, 3, Treatment("ranking", "new")), SlateQuery(HOME, 3)], NOW.timestamp())


@pytest.fixture
async def connection(redis_url: str) -> AsyncIterator[AsyncConnection]:
    connection = connect(patient(redis_url))
    yield connection
    await connection.aclose()


def logged(url: str) -> list[Event]:
    with connect_blocking(patient(url)) as blocking:
        return list(read_log(blocking, "local"))


async def test_an_exposure_is_logged_once_a_day_by_all_processes_together(
    connection: AsyncConnection, redis_url: str
) -> None:
    processes = [Exposures(EventLog(connection), 5) for _ in range(2)]
    for exposures in processes:
        for number, day in enumerate((0, 0, 1)):
            exposures.note("local", "ada", MET._replace(now=MET.now + day * DAY), f"r-{number}")
        assert await exposures.flush()
    first, second = logged(redis_url)
    assert (first.event_type, first.customer_id, first.arm) == (EXPOSURE, "ada", "new")
    assert (first.experiment_id, first.request_id, first.event_time) == ("ranking", "r-0", NOW)
    assert second.event_time.timestamp() == MET.now + DAY


async def test_an_exposure_is_nothing_that_the_customer_did(connection: AsyncConnection) -> None:
    exposures = Exposures(EventLog(connection), 5)
    exposures.note("local", "ada", MET, "r-1")
    await exposures.flush()
    read = await CustomerReader(connection).read("local", 1, ["ada"], 5)
    assert list(read.customers[0].profile.events) == []


async def test_exposures_wait_while_redis_is_lost(connection: AsyncConnection, redis_url: str) -> None:
    lost = True
    exposures = Exposures(EventLog(connection), 5, is_lost=lambda: lost)
    for number in range(1_200):
        exposures.note("local", f"customer-{number}", MET, "r-1")
    assert not await exposures.flush()
    assert logged(redis_url) == []
    lost = False
    assert await exposures.flush()
    assert len(logged(redis_url)) == 1_200


async def test_exposures_that_cannot_be_written_are_kept() -> None:
    connection = connect(RedisSettings(url="redis://127.0.0.1:1"))
    exposures = Exposures(EventLog(connection), 5)
    exposures.note("local", "ada", MET, "r-1")
    assert not await exposures.flush()
    assert not await exposures.flush()
    await connection.aclose()
