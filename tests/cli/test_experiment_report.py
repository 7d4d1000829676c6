import asyncio
import json
from pathlib import Path

import pytest

from models.catalog import CatalogChange
from models.events import CLICK, Event
from models.experiments import Arm, Experiment, ExperimentMode, marked
from service.store.archive import Archive, ArchivedEvent
from service.store.catalog_store import CatalogStore
from service.store.connection import connect, connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.event_log import append_blocking
from service.store.exports import write_events
from tests.cli.conftest import Command
from tests.models.test_experiment_report import BEGIN, bought, exposure, lifted
from tests.redis_fixtures import patient

SPLIT = Experiment("ranking", ("home-top",), (Arm("control", 2), Arm("new", 1, model_version="20260301-abc")))
DRAFT = Experiment("draft", ("cart-side",), SPLIT.arms, mode=ExperimentMode.INTERLEAVED)


@pytest.fixture
def redis_url(own_redis: EmbeddedRedis) -> str:
    """Give a Redis that holds two experiments and the log of a hundred customers."""

    async def store() -> None:
        connection = connect(patient(own_redis.url))
        await CatalogStore(connection).apply("local", CatalogChange(experiments=(SPLIT, DRAFT)), 5)
        await connection.aclose()

    asyncio.run(store())
    with connect_blocking(patient(own_redis.url)) as connection:
        append_blocking(connection, "local", list(lifted(100)))
    return own_redis.url


def test_a_split_is_reported_from_the_log(dangol: Command, capsys: pytest.CaptureFixture[str], redis_url: str) -> None:
    assert dangol("experiments", "report", "ranking", "--redis-url", redis_url, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    control, new = told["arms"]
    assert control["customers"] + new["customers"] == 100
    assert new["outcomes"][0]["difference"]["relative"]["estimate"] > 0
    assert [arm["model_version"] for arm in told["arms"]] == ["", "20260301-abc"]
    assert dangol("experiments", "report", "ranking", "--redis-url", redis_url) == 0
    shown = capsys.readouterr().out
    assert "revenue, EUR" in shown
    assert "Every arm is compared with control" in shown
    assert "The slates of new are filled by model 20260301-abc" in shown


def test_an_export_serves_as_well_as_the_log_and_lost_customers_are_pointed_out(
    dangol: Command, capsys: pytest.CaptureFixture[str], redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    customers = [f"customer-{number}" for number in range(200)]
    write_events(file, [exposure(name, "control") for name in customers] + [bought("customer-1", 500)])
    assert dangol("experiments", "report", "ranking", "--events", file, "--redis-url", redis_url) == 0
    assert "not what their weights let expect" in capsys.readouterr().out


def test_what_is_archived_counts_as_well_as_what_is_still_in_the_log(
    dangol: Command, capsys: pytest.CaptureFixture[str], redis_url: str
) -> None:
    archived = [exposure("early", "new"), bought("early", 900)]
    entries = [ArchivedEvent(0, f"{number}-0", event) for number, event in enumerate(archived)]
    Archive(str(Path(".dangol") / "archive")).add("day=2025-07-01/events-1-x.parquet", entries)
    assert dangol("experiments", "report", "ranking", "--redis-url", redis_url, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert sum(arm["customers"] for arm in told["arms"]) == 101


def test_interleaved_rankings_are_reported_by_whom_customers_prefer(
    dangol: Command, capsys: pytest.CaptureFixture[str], redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    echo = marked("a1-1", ["draft"])
    clicks = [Event(f"c-{n}", f"c-{n % 9}", CLICK, BEGIN, "bread", request_id=echo, arm="new") for n in range(20)]
    write_events(file, clicks)
    assert dangol("experiments", "report", "draft", "--events", file, "--redis-url", redis_url) == 0
    assert "100.0% prefer new" in capsys.readouterr().out


def test_an_experiment_that_does_not_exist_ends_with_4(dangol: Command, redis_url: str) -> None:
    assert dangol("experiments", "report", "never-was", "--redis-url", redis_url) == 4
