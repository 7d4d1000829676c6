"""A generation that is held stays beside the one that is served, until it is released."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from models.errors import NotFoundError
from models.registry import Registry
from service import publisher
from service.store.generation_record import GenerationRecord, GenerationState
from service.store.generation_store import LEASE, GenerationStore
from service.store.generation_sweep import sweep
from tests.publisher.test_killed_publisher import CUSTOMER_IDS, is_whole, write_large_artifact
from tests.publisher.test_publisher import SILENT, TENANT, lives_left, publish

KILLS = 6
HOLDERS = """
import sys
from pathlib import Path
from models.progress import SilentProgress
from models.registry import Registry
from service import publisher
from service.store.connection import RedisSettings, connect_blocking
from service.store.generation_store import GenerationStore
with connect_blocking(RedisSettings(url=sys.argv[1]), timeout=30) as connection:
    store = GenerationStore(connection)
    print("begins", flush=True)
    while True:
        publisher.hold(Registry(Path(sys.argv[2])), sys.argv[3], store, "local", SilentProgress())
        publisher.release(sys.argv[3], store, "local", SilentProgress())
        store.change("local", store.overview("local"), [], forgotten=[store.overview("local").records[0].generation])
"""
"""Holds a version and lets it go, for ever; the record goes too, so that the lists are written anew each time."""


def hold(registry: Registry, store: GenerationStore, version: str) -> GenerationRecord:
    return publisher.hold(registry, version, store, TENANT, SILENT)


def test_a_held_generation_is_whole_and_what_is_served_stays(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    live = publish(registry, store)
    held = hold(registry, store, versions[1])
    assert (held.model_version, held.customers, held.state) == (versions[1], 3, GenerationState.RETIRED)
    assert store.overview(TENANT).live == live
    assert registry.current() == versions[0]
    assert lives_left(store, held.generation) == [-1] * 4


def test_a_held_generation_outlives_whatever_is_published_after_it(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    publish(registry, store)
    held = hold(registry, store, versions[1])
    soon = timedelta(milliseconds=1)
    for version in (versions[2], versions[0]):
        publisher.publish(registry, version, store, TENANT, SILENT, retired_life=soon)
        sweep(store, TENANT, SILENT, soon)
    assert store.overview(TENANT).record(held.generation) == held
    assert lives_left(store, held.generation) == [-1] * 4


def test_to_hold_twice_writes_once(registry: Registry, versions: list[str], store: GenerationStore) -> None:
    assert hold(registry, store, versions[1]) == hold(registry, store, versions[1])
    assert len(store.overview(TENANT).records) == 1


def test_a_retired_generation_that_is_held_expires_no_longer(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    first = publish(registry, store)
    publish(registry, store, versions[1])
    assert min(lives_left(store, first.generation)) > 0
    assert hold(registry, store, versions[0]).generation == first.generation
    assert lives_left(store, first.generation) == [-1] * 4


def test_a_live_generation_that_is_held_stays_when_another_goes_live(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    first = publish(registry, store)
    held = hold(registry, store, versions[0])
    assert store.overview(TENANT).live == held
    publish(registry, store, versions[1])
    assert lives_left(store, first.generation) == [-1] * 4
    assert publisher.roll_back(None, store, TENANT, SILENT).generation == first.generation


def test_a_released_generation_expires_and_one_that_is_served_goes_on(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    live = publish(registry, store)
    held = hold(registry, store, versions[1])
    hold(registry, store, versions[0])
    for version in versions[:2]:
        publisher.release(version, store, TENANT, SILENT)
    assert all(86_000 < seconds <= 86_400 for seconds in lives_left(store, held.generation))
    assert lives_left(store, live.generation) == [-1] * 4
    assert store.overview(TENANT).held == []
    with pytest.raises(NotFoundError, match="is held"):
        publisher.release(versions[1], store, TENANT, SILENT)


def test_a_version_that_is_nowhere_cannot_be_held(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    with pytest.raises(NotFoundError):
        hold(registry, store, "20990101-never")
    assert store.overview(TENANT).records == []


def test_wherever_who_holds_is_killed_what_is_served_stays_and_what_was_left_is_removed(
    registry: Registry,
    versions: list[str],
    store: GenerationStore,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    large = write_large_artifact(registry.root, monkeypatch)
    live = publish(registry, store, large)
    moments = random.Random(3)
    command = [sys.executable, "-c", HOLDERS, redis_url, str(registry.root), versions[1]]
    for _ in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            time.sleep(moments.uniform(0, 0.1))
            os.kill(holder.pid, signal.SIGKILL)
        assert store.overview(TENANT).live == live
        assert is_whole(store)
    now = store.now()
    monkeypatch.setattr(store, "now", lambda: now + 2 * LEASE)
    sweep(store, TENANT, SILENT)
    assert {record.state for record in store.overview(TENANT).records} <= {
        GenerationState.LIVE,
        GenerationState.RETIRED,
    }
    assert is_whole(store)
    assert len(CUSTOMER_IDS) == live.customers
