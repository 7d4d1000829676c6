"""A customer who is erased is gone from everywhere, and stays so."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dangol.client import Client, RefusedError
from dangol.v1.catalog_pb2 import Audience, Budget, Offer
from dangol.v1.customer_pb2 import Customer
from dangol.v1.event_pb2 import Event
from models.artifact_erasure import erase_from_model, erased_files
from models.erasures import erased_id
from models.progress import SilentProgress
from models.pushes import Push
from models.registry import Registry
from service.publisher import publish
from service.store.archive import Archive, ArchivedEvent
from service.store.connection import connect_blocking
from service.store.embedded import EmbeddedRedis
from service.store.functions import call_all_blocking
from service.store.generation_store import GenerationStore
from service.store.push_store import add_call
from service.store.scan import scan
from tests.cli.conftest import Command
from tests.models_fixtures import candidate, candidate_list, item_id, item_model
from tests.redis_fixtures import patient
from tests.server_fixtures import publish_model, running_server
from tests.store import samples

NAMES = ("ada", "device")
LISTS = {name: candidate_list([candidate(7, 1.0), candidate(3, 0.5)]) for name in (*NAMES, "bob")}
SETTINGS = {"engine": "grpcio", "read_timeout": 1.0, "poll_interval": 0.05}


@pytest.fixture
def home(tmp_path: Path, own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the commands find the models and the Redis of the server."""
    monkeypatch.setenv("DANGOL_HOME", str(tmp_path))
    monkeypatch.setenv("DANGOL_REDIS_URL", own_redis.url)
    publish_model(own_redis.url, tmp_path, item_model(), LISTS)
    return tmp_path


@pytest.fixture
def client(home: Path, own_redis: EmbeddedRedis) -> Iterator[Client]:
    with (
        running_server(home / "server", own_redis.url, registry=home / "models", **SETTINGS) as running,
        Client(running.address, timeout=20, write_timeout=20) as opened,
    ):
        yield opened


def event(number: int, customer_id: str) -> Event:
    message = Event(event_id=f"{customer_id}-{number}", customer_id=customer_id, event_type="view", item_id=item_id(5))
    message.event_time.FromDatetime(datetime.now(UTC))
    return message


def fill(client: Client, home: Path) -> None:
    """Leave traces of a customer with two ids, and of somebody else, wherever there may be any."""
    client.record_events([event(number, name) for number in range(3) for name in (*NAMES, "bob")])
    client.upsert_customers([Customer(customer_id=name, language="ko") for name in (*NAMES, "bob")])
    client.link_identities("ada", ["device"])
    client.upsert_audiences([Audience(audience_id="dear", customer_ids=["ada", "bob"])])
    client.upsert_offers([Offer(offer_id="o", item_ids=[item_id(3)], budget=Budget(units=9))])
    client.recommend_offers("device", "default")
    archived = [
        ArchivedEvent(0, f"{number}-0", samples.event(number, name)) for number, name in enumerate((*NAMES, "bob"))
    ]
    Archive(str(home / "archive")).add("day=2026-03-01/events-0000000001-abc.parquet", archived)
    (home / "refused").mkdir()
    lines = [{"reason": "no-item", "row": {"who": name, "what": 5}} for name in (*NAMES, "bob")]
    (home / "refused" / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    (home / "reports").mkdir()
    for name in ("ada", "bob"):
        (home / "reports" / f"{name}.html").write_text(f'<h3 class="customer">{name}</h3>')


def wait_for_pushes(redis: EmbeddedRedis) -> None:
    """Leave pushes to everybody in the queue."""
    pushes = [Push("k", name, "cart", item_id(5), "", 0.0, time.time() + 60, time.time() + 600) for name in NAMES]
    with connect_blocking(patient(redis.url)) as connection:
        calls = [add_call("local", push.customer_id, [push], time.time()) for push in pushes]
        assert call_all_blocking(connection, calls) == [1, 1]


def residues(dangol: Command, capsys: pytest.CaptureFixture[str], receipt: str) -> dict[str, int]:
    capsys.readouterr()
    code = dangol("erasures", "verify", receipt, "--json")
    found: dict[str, int] = json.loads(capsys.readouterr().out)["residues"]
    assert code == (1 if found else 0)
    return found


def test_nothing_is_left_of_an_erased_customer_under_any_of_their_ids(
    dangol: Command, capsys: pytest.CaptureFixture[str], client: Client, home: Path, own_redis: EmbeddedRedis
) -> None:
    fill(client, home)
    wait_for_pushes(own_redis)
    erased = client.erase_customer("device")
    assert erased.identity_count == 2
    left = residues(dangol, capsys, erased.receipt_id)
    assert {"archive", "models", "refused", "reports"} <= left.keys()
    assert not {name for name in left if name.startswith("key")}
    assert dangol("erasures", "apply") == 0
    assert residues(dangol, capsys, erased.receipt_id) == {}
    with connect_blocking(patient(own_redis.url)) as connection:
        names = [name for page in scan(connection, "*") for name in page]
        dumped = [connection.client.execute_command("DUMP", name) for name in names]
    assert not [part for part in (*names, *dumped) if b"device" in part]
    assert [one.event.customer_id for page in Archive(str(home / "archive")).events() for one in page] == ["bob"]
    assert "ada" not in (home / "refused" / "x.jsonl").read_text()
    assert [page.name for page in (home / "reports").iterdir()] == ["bob.html"]
    assert client.get_customer("bob").customer.language == "ko"


def test_what_arrives_later_is_dropped_and_the_answer_says_so(client: Client) -> None:
    client.record_events([event(1, "ada")])
    client.erase_customer("ada")
    answer = client.record_events([event(1, "ada"), event(2, "ada"), event(1, "bob")])
    assert (answer.recorded_count, answer.duplicate_count, answer.erased_count) == (1, 0, 2)
    assert client.upsert_customers([Customer(customer_id="ada"), Customer(customer_id="bob")]) == 1
    with pytest.raises(RefusedError, match="was erased"):
        client.link_identities("bob", ["ada"])
    told = client.get_customer("ada", ["default"])
    assert not told.recent_events
    assert told.slates[0].offers[0].item_id == item_id(0)


def test_a_model_published_again_leaves_them_out_and_so_does_a_redis_that_was_emptied(
    client: Client, home: Path, own_redis: EmbeddedRedis
) -> None:
    client.erase_customer("ada")
    registry = Registry(home / "models")
    with connect_blocking(patient(own_redis.url)) as connection:
        for empties in (False, True):
            if empties:
                connection.client.execute_command("FLUSHALL")
            record = publish(registry, None, GenerationStore(connection), "local", SilentProgress())
            assert record.customers == 2
            assert not connection.client.execute_command("EXISTS", f"local:{{0c}}:c:{record.generation}:ada")
    assert client.record_events([event(9, "ada")]).erased_count == 1


def test_a_customer_erased_while_events_models_and_requests_pour_in_leaves_nothing(
    dangol: Command, capsys: pytest.CaptureFixture[str], client: Client, home: Path, own_redis: EmbeddedRedis
) -> None:
    fill(client, home)
    stopping = threading.Event()

    def pour() -> None:
        number = 100
        while not stopping.is_set():
            client.record_events([event(number, name) for name in (*NAMES, "bob")])
            client.recommend_offers("ada", "default")
            number += 1

    def republish() -> None:
        with connect_blocking(patient(own_redis.url)) as connection:
            while not stopping.is_set():
                publish(Registry(home / "models"), None, GenerationStore(connection), "local", SilentProgress())

    with ThreadPoolExecutor(2) as executor:
        at_work = [executor.submit(work) for work in (pour, republish)]
        receipt = client.erase_customer("ada").receipt_id
        client.record_events([event(99, "device")])
        stopping.set()
    assert [work.result() for work in at_work] == [None, None]
    assert dangol("erasures", "apply") == 0
    assert residues(dangol, capsys, receipt) == {}


def test_a_model_stays_the_version_that_it_is_and_is_whole_without_the_customer(home: Path, dangol: Command) -> None:
    registry = Registry(home / "models")
    version = registry.current()
    assert version is not None
    erased = frozenset({erased_id("ada").sha256})
    assert erased_files(registry.root / version, erased) == ["lists-00000.npz"]
    for _ in range(2):
        erase_from_model(registry.root / version, erased)
    assert erased_files(registry.root / version, erased) == []
    opened = registry.open(version)
    assert [name for table in opened.lists() for name in table.customer_ids] == ["bob", "device"]


def test_an_unknown_receipt_is_not_found(dangol: Command, home: Path) -> None:
    assert dangol("erasures", "verify", "nobody") == 4
