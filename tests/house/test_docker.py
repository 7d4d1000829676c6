"""What stands in docker/: images that need no root, and a Redis user that may do what the product does and no more."""

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from prometheus_client import CollectorRegistry

from models.catalog import CatalogChange
from models.errors import UnavailableError
from models.events import Event
from models.offers import Item
from models.progress import SilentProgress
from models.registry import Registry
from service.live.applier import Applier
from service.live.archiver import Archiver
from service.live.measures import Measures
from service.live.raiser import Raiser
from service.live.refresher import Refresher
from service.publisher import publish, roll_back
from service.store.archive import Archive
from service.store.archive_progress import ArchivedLog
from service.store.candidate_refresh import CandidateRefresh
from service.store.catalog_follower import CatalogFollower
from service.store.catalog_store import CatalogStore
from service.store.connection import RedisSettings, connect, connect_blocking
from service.store.customer_reader import CustomerReader
from service.store.embedded import find_server
from service.store.event_log import EventLog, append_blocking
from service.store.generation_store import GenerationStore
from service.store.health import RedisHealth
from service.store.keys import MetaKeys
from service.store.lease import Lease
from service.store.log_group import LogGroup
from service.store.push_raising import PushRaising
from tests.house.dockerfile import in_context, steps
from tests.house.repository import ROOT
from tests.live.shop import write_foldable

EVENT = Event("event-1", "customer-1", "purchase", datetime(2026, 1, 1, tzinfo=UTC), item_id="item-1")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    subprocess.run([ROOT / "docker/make-secrets", folder], check=True)
    return folder


@pytest.fixture
def guarded_redis(secrets: Path, tmp_path: Path) -> Iterator[Path]:
    """Start a Redis that knows the users of docker/make-secrets only, and give its socket."""
    socket = tmp_path / "redis.sock"
    options: list[str | Path] = [
        "--port",
        "0",
        "--unixsocket",
        socket,
        "--save",
        "",
        "--aclfile",
        secrets / "redis-users.acl",
    ]
    with subprocess.Popen([find_server(), *options], cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 30
        while not socket.exists():
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.01)
        yield socket
        server.terminate()


@pytest.fixture
def settings(guarded_redis: Path, secrets: Path) -> RedisSettings:
    return RedisSettings(
        url=f"unix://{guarded_redis}", username="dangol", password_file=secrets / "redis-password", read_timeout=5.0
    )


async def test_the_redis_user_may_do_what_the_service_does(settings: RedisSettings) -> None:
    connection = connect(settings, timeout=5.0)
    try:
        await RedisHealth(connection).ping(5.0)
        await RedisHealth(connection).facts(5.0)
        appended = await EventLog(connection).append("local", [EVENT], 5.0)
        await CatalogStore(connection).apply("local", CatalogChange(items=(Item("item-1"),)), 5.0)
        catalog = await CatalogStore(connection).load("local")
        read = await CustomerReader(connection).read("local", 1, ["customer-1"], 5.0)
    finally:
        await connection.aclose()
    assert appended.recorded == 1
    assert "item-1" in catalog.items
    assert [event.item_id for event in read.customers[0].profile.events] == ["item-1"]


def test_the_redis_user_may_do_what_the_publisher_does(settings: RedisSettings) -> None:
    registry = Registry(ROOT / "tests/golden/artifact-format-1")
    version = registry.versions()[0]
    with connect_blocking(settings, timeout=5.0) as connection:
        store = GenerationStore(connection)
        first = publish(registry, version, store, "local", SilentProgress())
        second = publish(registry, version, store, "local", SilentProgress())
        back = roll_back(None, store, "local", SilentProgress())
    assert second.generation > first.generation == back.generation


def test_the_redis_user_may_do_what_workers_do(settings: RedisSettings, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    with connect_blocking(settings, timeout=5.0) as connection:
        publish(registry, write_foldable(registry), GenerationStore(connection), "local", SilentProgress())
        append_blocking(connection, "local", [EVENT])
        group = LogGroup(connection, "local", "one")
        measures = Measures(CollectorRegistry())
        raiser = Raiser(PushRaising(connection, "local"), CatalogFollower(connection, "local"), measures, "one", 300.0)
        refresher = Refresher(CandidateRefresh(connection, "local", 180), "one")
        applier = Applier(group, refresher, raiser, measures, 0.0)
        while applier.step() or raiser.step():
            pass
        archive = Archive(str(tmp_path / "archive"))
        lease = Lease(connection, MetaKeys("local").archiving, "one", 60)
        archiver = Archiver(ArchivedLog(connection, "local"), archive, group, lease, measures, 0.0)
        assert archiver.step()
        group.forget_the_silent()
        assert sum(lag.length for lag in group.lags()) == 0


async def test_redis_refuses_whoever_shows_no_password(guarded_redis: Path) -> None:
    connection = connect(RedisSettings(url=f"unix://{guarded_redis}"))
    with pytest.raises(UnavailableError):
        await RedisHealth(connection).ping(5.0)
    await connection.aclose()


@pytest.mark.parametrize(
    "command",
    ["FLUSHALL", "CONFIG GET dir", "KEYS *", "SHUTDOWN", "ACL LIST", "GET elsewhere"],
)
def test_the_redis_user_may_not(command: str, guarded_redis: Path, secrets: Path) -> None:
    password = (secrets / "redis-password").read_text()
    with (
        redis.Redis(unix_socket_path=str(guarded_redis), username="dangol", password=password) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command(*command.split())


def test_the_redis_user_may_not_send_scripts(guarded_redis: Path, secrets: Path) -> None:
    password = (secrets / "redis-password").read_text()
    with (
        redis.Redis(unix_socket_path=str(guarded_redis), username="dangol", password=password) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.execute_command("EVAL", "return 1", 0)


def test_a_second_look_for_secrets_keeps_the_password(secrets: Path) -> None:
    before = (secrets / "redis-password").read_bytes()
    subprocess.run([ROOT / "docker/make-secrets", secrets], check=True)
    assert (secrets / "redis-password").read_bytes() == before


def test_images_run_as_a_user_named_by_number() -> None:
    users = {step.stage: step.arguments for step in steps() if step.instruction == "USER"}
    assert users == {"runtime": "10001:10001", "trainer": "10001:10001"}


def test_the_build_context_holds_what_is_copied() -> None:
    copies = [step.arguments.split()[:-1] for step in steps() if step.instruction == "COPY" and step.stage == "build"]
    files = [Path(f"{name}__init__.py" if name.endswith("/") else name) for names in copies for name in names]
    missing = [file for file in files if not in_context(file)]
    assert missing == []


@pytest.mark.parametrize("name", [".git/config", "docker/secrets/redis-password", ".dangol/redis/x", "tests/shop.py"])
def test_the_build_context_leaves_out(name: str) -> None:
    assert not in_context(Path(name))
