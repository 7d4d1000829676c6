"""A worker as a process: it tells how it is, ends in order, and what it does is seen on every server process."""

import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from benchmarks.harness.worker_process import WorkerProcess
from cli.main import run
from dangol.client import Client
from dangol.v1.event_pb2 import Event
from models.progress import SilentProgress
from models.registry import Registry
from service.live.status_page import status_page
from service.publisher import publish
from service.store.archive import Archive
from service.store.connection import connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.generation_store import GenerationStore
from tests.live.conftest import TENANT
from tests.live.shop import write_foldable
from tests.models_fixtures import item_id
from tests.redis_fixtures import patient
from tests.server_fixtures import running_server, wait_until

SETTINGS = {"archive_interval": 0.1, "log_level": "warning"}


def page_of(worker: WorkerProcess, path: str) -> str:
    with urllib.request.urlopen(f"http://{worker.metrics_address}{path}", timeout=10) as response:
        return str(response.read().decode())


def did(number: int, event_type: str, row: int, customer_id: str = "ada") -> Event:
    event = Event(event_id=f"event-{number}", customer_id=customer_id, event_type=event_type, item_id=item_id(row))
    event.event_time.FromDatetime(datetime.now(UTC))
    return event


@pytest.fixture
def shop_redis(own_redis: EmbeddedRedis, tmp_path: Path) -> EmbeddedRedis:
    """Give a Redis that serves the shop."""
    registry = Registry(tmp_path / "models")
    with connect_blocking(patient(own_redis.url)) as connection:
        publish(registry, write_foldable(registry), GenerationStore(connection), TENANT, SilentProgress())
    return own_redis


def test_a_purchase_counts_in_the_next_call_of_any_process_and_candidates_follow(
    shop_redis: EmbeddedRedis, tmp_path: Path
) -> None:
    first = running_server(tmp_path / "first", shop_redis.url, read_timeout=5.0)
    second = running_server(tmp_path / "second", shop_redis.url, read_timeout=5.0)
    with first as one, second as two, Client(one.address) as writer, Client(two.address) as reader:
        for number, row in enumerate((3, 4, 0)):
            offered = [offer.item_id for offer in reader.recommend_offers("ada", "default").slates[0].offers]
            assert item_id(row) in offered
            writer.record_events([did(number, "purchase", row)])
            answer = reader.recommend_offers("ada", "default", timeout=5.0)
            assert not answer.served.degraded
            assert item_id(row) not in [offer.item_id for offer in answer.slates[0].offers]
        with WorkerProcess(tmp_path, "worker", shop_redis.url, SETTINGS):
            writer.record_events([did(9, "view", 12)])
            wait_until(
                lambda: (
                    item_id(13)
                    in [offer.item_id for offer in reader.recommend_offers("ada", "default").slates[0].offers][:4]
                )
            )


def test_a_worker_tells_how_it_is_and_ends_in_order(
    shop_redis: EmbeddedRedis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        running_server(tmp_path / "server", shop_redis.url) as server,
        WorkerProcess(tmp_path, "worker", shop_redis.url, SETTINGS) as worker,
        Client(server.address) as client,
    ):
        assert page_of(worker, "/health") == "well\n"
        assert run(["health", "--worker", worker.metrics_address]) == 0
        client.record_events([did(1, "view", 12)])
        archive = Archive(str(tmp_path / "archive"))
        wait_until(lambda: [entry.event.event_id for page in archive.events() for entry in page] == ["event-1"])
        wait_until(lambda: 'dangol_log_length{shard="' in page_of(worker, "/metrics"))
        assert "dangol_worker_refreshed_total 1.0" in page_of(worker, "/metrics")
        assert worker.stop() == 0
        assert run(["health", "--worker", worker.metrics_address]) == 5
        assert "no worker answers" in capsys.readouterr().err


def test_a_worker_waits_for_a_redis_that_is_away(own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    missing = tmp_path / "nobody.sock"
    with WorkerProcess(tmp_path, "worker", f"unix://{missing}", SETTINGS) as worker:
        wait_until(lambda: 'dangol_worker_interruptions_total{task="apply"}' in page_of(worker, "/metrics"))
        assert worker.stop() == 0


def test_a_page_of_a_worker_that_is_not_well_says_so(tmp_path: Path) -> None:
    with status_page("127.0.0.1", 0, CollectorRegistry(), lambda: "no whole round lately: apply") as port:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10)
        with caught.value as answer:
            assert (answer.code, answer.read()) == (503, b"no whole round lately: apply\n")
        assert run(["health", "--worker", f"127.0.0.1:{port}"]) == 5
