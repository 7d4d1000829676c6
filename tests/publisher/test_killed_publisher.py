"""A publisher killed at any moment changes nothing that is served, and what it left is cleaned up."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.progress import SilentProgress
from models.registry import Registry
from service import publisher
from service.store import candidate_codec, generation_store, keys
from service.store.connection import connect_blocking
from service.store.generation_record import GenerationState
from service.store.generation_store import GenerationStore
from tests.models.samples import small_table, write_small_artifact
from tests.redis_fixtures import patient

TENANT = "local"
KILLS = 20
CUSTOMER_IDS = [f"customer-{number:05d}" for number in range(6_000)]
PUBLISHERS = """
import os, sys
from pathlib import Path
from models.progress import SilentProgress
from models.registry import Registry
from service import publisher
from service.store.connection import RedisSettings, connect_blocking
from service.store.generation_store import GenerationStore
for _ in sys.stdin:
    child = os.fork()
    while child == 0:
        with connect_blocking(RedisSettings(url=sys.argv[1]), timeout=30) as connection:
            store = GenerationStore(connection)
            publisher.publish(Registry(Path(sys.argv[2])), None, store, "local", SilentProgress())
    print(child, flush=True)
    os.waitpid(child, 0)
"""
"""Starts a publisher that goes on for ever, at each line that it reads, and tells its process id."""


def write_large_artifact(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        patch.setattr("tests.models.samples.small_table", lambda: small_table(CUSTOMER_IDS))
        return write_small_artifact(root).model_version


def is_whole(store: GenerationStore) -> bool:
    """Tell whether every customer has their list in the generation that the pointer names."""
    live = store.overview(TENANT).live
    if live is None:
        return True
    names = [keys.candidates_key(TENANT, live.generation, customer_id) for customer_id in CUSTOMER_IDS]
    values = store.connection.client.execute_command("MGET", *names)
    return all(
        value is not None and candidate_codec.decode(value, candidate_codec.digest_of(customer_id)) is not None
        for customer_id, value in zip(CUSTOMER_IDS, values, strict=True)
    )


def test_whatever_is_served_is_whole_wherever_the_publisher_is_killed(
    registry: Registry, store: GenerationStore, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(write_large_artifact(registry.root, monkeypatch))
    moments = random.Random(7)
    command = [sys.executable, "-c", PUBLISHERS, redis_url, str(registry.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as publishers:
        assert publishers.stdin is not None
        assert publishers.stdout is not None
        for _ in range(KILLS):
            publishers.stdin.write(b"\n")
            publishers.stdin.flush()
            process_id = int(publishers.stdout.readline())
            until = time.monotonic() + moments.uniform(0, 0.5)
            while time.monotonic() < until:
                assert is_whole(store)
            os.kill(process_id, signal.SIGKILL)
            assert is_whole(store)
        publishers.stdin.close()
    assert len(store.overview(TENANT).records) > 1


def test_what_a_killed_publisher_left_is_removed_once_its_lease_ended(
    registry: Registry, store: GenerationStore, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(write_large_artifact(registry.root, monkeypatch))
    with connect_blocking(patient(redis_url)) as connection:
        dying = GenerationStore(connection)
        record = dying.begin(TENANT, "20260101-0123456789ab", registry.manifest(registry.versions()[0]).last_event_time)
        dying.write_items(TENANT, record.generation, b"items")
        assert sum(dying.write_lists(TENANT, record.generation, small_table(CUSTOMER_IDS))) == len(CUSTOMER_IDS)
    publisher.publish(registry, None, store, TENANT, SilentProgress())
    states = {other.generation: other.state for other in store.overview(TENANT).records}
    assert states[record.generation] is GenerationState.WRITING

    now = store.now()
    monkeypatch.setattr(store, "now", lambda: now + 2 * generation_store.LEASE)
    live = publisher.publish(registry, None, store, TENANT, SilentProgress())
    assert record.generation not in {other.generation for other in store.overview(TENANT).records}
    names = [name.decode() for name in store.connection.client.execute_command("KEYS", f"*:{record.generation}:*")]
    assert names == []
    assert is_whole(store)
    assert store.overview(TENANT).live == live
