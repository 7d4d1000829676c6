import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from models.candidates import CandidateList, CandidateTable
from models.errors import ArtifactError, ConflictError, NotFoundError, PreconditionError, UnavailableError
from models.item_model import encode_item_model
from models.progress import SilentProgress
from models.registry import Registry
from service import publisher
from service.store import candidate_codec, keys
from service.store.connection import RedisSettings, connect_blocking
from service.store.generation_record import GenerationRecord, GenerationState, Sweep
from service.store.generation_store import GenerationStore
from service.store.generation_sweep import sweep
from service.store.store import Store
from tests.models.samples import CUSTOMER_IDS, small_item_model, small_table
from tests.redis_fixtures import patient

TENANT = "local"
SILENT = SilentProgress()


def publish(registry: Registry, store: GenerationStore, version: str | None = None) -> GenerationRecord:
    return publisher.publish(registry, version, store, TENANT, SILENT)


def list_of(store: GenerationStore, generation: int, customer_id: str) -> CandidateList | None:
    value = store.connection.client.execute_command("GET", keys.candidates_key(TENANT, generation, customer_id))
    return None if value is None else candidate_codec.decode(value, candidate_codec.digest_of(customer_id))


def keys_of(store: GenerationStore, generation: int) -> list[str]:
    meta = keys.MetaKeys(TENANT)
    return [keys.candidates_key(TENANT, generation, id_) for id_ in CUSTOMER_IDS] + [meta.model_part(generation, 0)]


def lives_left(store: GenerationStore, generation: int) -> list[int]:
    """Give seconds to live of every key of a generation: -1 means for ever, -2 that it is gone."""
    return [store.connection.client.execute_command("TTL", key) for key in keys_of(store, generation)]


def states(store: GenerationStore) -> dict[int, GenerationState]:
    return {record.generation: record.state for record in store.overview(TENANT).records}


def test_every_list_of_the_artifact_is_in_redis_as_it_was(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    live = publish(registry, store)
    table = small_table()
    for index, customer_id in enumerate(CUSTOMER_IDS):
        found, expected = list_of(store, live.generation, customer_id), table.list_at(index)
        assert found is not None
        np.testing.assert_array_equal(found.candidates, expected.candidates)
        np.testing.assert_array_equal(found.evidence_rows, expected.evidence_rows)


def test_the_record_says_what_was_published(registry: Registry, versions: list[str], store: GenerationStore) -> None:
    live = publish(registry, store)
    assert (live.model_version, live.customers, live.state) == (versions[0], 3, GenerationState.LIVE)
    assert live.last_event_time == datetime(2017, 12, 1, 23, 59, tzinfo=UTC)
    assert store.overview(TENANT).live == live


async def test_a_server_loads_the_item_model_that_was_published(
    registry: Registry, versions: list[str], store: GenerationStore, redis_url: str
) -> None:
    publish(registry, store)
    server = Store.open(patient(redis_url))
    pointer = await server.models.pointer(TENANT)
    assert pointer is not None
    model = await server.models.load_items(TENANT, pointer)
    await server.aclose()
    assert encode_item_model(model) == encode_item_model(small_item_model())


def test_without_a_current_model_there_is_nothing_to_publish(registry: Registry, store: GenerationStore) -> None:
    with pytest.raises(PreconditionError):
        publish(registry, store)


def test_a_damaged_artifact_is_refused_before_anything_is_written(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    path = registry.root / versions[0] / "lists-00000.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="lists-00000"):
        publish(registry, store)
    assert store.connection.client.execute_command("DBSIZE") == 0


def test_the_generation_before_stays_for_a_day(registry: Registry, versions: list[str], store: GenerationStore) -> None:
    first = publish(registry, store)
    second = publish(registry, store, versions[1])
    assert lives_left(store, second.generation) == [-1] * 4
    assert all(86_000 < seconds <= 86_400 for seconds in lives_left(store, first.generation))
    assert states(store) == {first.generation: GenerationState.RETIRED, second.generation: GenerationState.LIVE}


def test_a_retired_generation_is_forgotten_when_it_expired(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    publish(registry, store)
    soon = timedelta(milliseconds=20)
    second = publisher.publish(registry, versions[1], store, TENANT, SILENT, retired_life=soon)
    while len(states(store)) > 1:
        sweep(store, TENANT, SILENT, soon)
    assert states(store) == {second.generation: GenerationState.LIVE}


def test_a_roll_back_serves_the_generation_before_and_keeps_it(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    first = publish(registry, store)
    registry.promote(versions[1])
    second = publish(registry, store)
    live = publisher.roll_back(registry, store, TENANT, SILENT)
    assert live.generation == first.generation
    assert registry.current() == versions[0]
    assert lives_left(store, first.generation) == [-1] * 4
    assert min(lives_left(store, second.generation)) > 0


def test_a_second_roll_back_goes_further_back(registry: Registry, versions: list[str], store: GenerationStore) -> None:
    generations = [publish(registry, store, version).generation for version in versions]
    assert [publisher.roll_back(None, store, TENANT, SILENT).generation for _ in range(2)] == generations[1::-1]
    with pytest.raises(PreconditionError):
        publisher.roll_back(None, store, TENANT, SILENT)


def test_there_is_nothing_to_roll_back_to_after_the_first_publish(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    publish(registry, store)
    with pytest.raises(PreconditionError):
        publisher.roll_back(registry, store, TENANT, SILENT)


def test_a_published_version_can_be_promoted_again(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    registry.write_verdict(versions[0], {"passed": True})
    first = publish(registry, store)
    publish(registry, store, versions[1])
    assert publisher.promote(registry, versions[0], store, TENANT, SILENT).generation == first.generation
    assert publisher.roll_back(registry, store, TENANT, SILENT).model_version == versions[1]


@pytest.mark.parametrize(("verdict", "said"), [(None, "was not asked about"), ({"passed": False}, "refused")])
def test_a_version_that_did_not_pass_the_gate_is_promoted_by_force_alone(
    verdict: dict[str, bool] | None, said: str, registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    if verdict is not None:
        registry.write_verdict(versions[0], verdict)
    first = publish(registry, store)
    second = publish(registry, store, versions[1])
    with pytest.raises(PreconditionError, match=f"the gate {said}"):
        publisher.promote(registry, versions[0], store, TENANT, SILENT)
    assert store.overview(TENANT).live_generation == second.generation
    forced = publisher.promote(registry, versions[0], store, TENANT, SILENT, force=True)
    assert forced.generation == first.generation


def test_a_version_that_is_not_published_cannot_be_promoted(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    publish(registry, store)
    with pytest.raises(NotFoundError, match="publish it first"):
        publisher.promote(registry, versions[2], store, TENANT, SILENT)


def test_a_generation_about_to_expire_is_not_served_again(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    publish(registry, store)
    publisher.publish(registry, versions[1], store, TENANT, SILENT, retired_life=timedelta(minutes=4))
    with pytest.raises(PreconditionError):
        publisher.roll_back(registry, store, TENANT, SILENT)


def test_of_two_publishers_one_wins_and_the_other_leaves_nothing(
    registry: Registry, versions: list[str], store: GenerationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lists = store.write_lists
    winners: list[GenerationRecord] = []

    def publish_another_meanwhile(tenant: str, generation: int, table: CandidateTable) -> Iterator[int]:
        monkeypatch.undo()
        winners.append(publish(registry, store, versions[1]))
        return write_lists(tenant, generation, table)

    monkeypatch.setattr(store, "write_lists", publish_another_meanwhile)
    with pytest.raises(ConflictError):
        publish(registry, store, versions[0])
    assert states(store) == {winners[0].generation: GenerationState.LIVE}
    assert lives_left(store, winners[0].generation - 1) == [-2] * 4
    assert lives_left(store, winners[0].generation) == [-1] * 4


def test_a_publisher_that_was_silent_too_long_gives_way(
    registry: Registry, versions: list[str], store: GenerationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lists = store.write_lists

    def be_taken_for_dead(tenant: str, generation: int, table: CandidateTable) -> Iterator[int]:
        store.abandon(tenant, generation)
        return write_lists(tenant, generation, table)

    monkeypatch.setattr(store, "write_lists", be_taken_for_dead)
    with pytest.raises(ConflictError, match="silent"):
        publish(registry, store)
    assert states(store) == {}
    assert store.connection.client.execute_command("KEYS", "*:c:*") == []


def test_a_failure_on_the_way_leaves_nothing(
    registry: Registry, versions: list[str], store: GenerationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "go_live", fail)
    with pytest.raises(KeyboardInterrupt):
        publish(registry, store)
    assert states(store) == {}
    assert store.connection.client.execute_command("KEYS", "*:c:*") == []


def test_what_an_interrupted_sweep_left_the_next_publish_does(
    registry: Registry, versions: list[str], store: GenerationStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publish(registry, store)
    monkeypatch.setattr("service.publisher.sweep", lambda *_: None)
    publish(registry, store, versions[1])
    assert lives_left(store, first.generation) == [-1] * 4
    monkeypatch.undo()
    publish(registry, store, versions[2])
    assert min(lives_left(store, first.generation)) > 0


def test_ids_that_look_like_keys_of_a_generation_are_not_swept(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    first = publish(registry, store)
    bystander = keys.seen_key(TENANT, 3, f"c:{first.generation}:ada")
    store.connection.client.execute_command("SET", bystander, "")
    publish(registry, store, versions[1])
    assert store.connection.client.execute_command("TTL", bystander) == -1


def test_a_sweep_in_flight_cannot_take_back_a_generation_that_was_revived(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    first = publish(registry, store)
    publish(registry, store, versions[1])
    publisher.roll_back(None, store, TENANT, SILENT)
    store.connection.client.execute_command("EXPIRE", keys_of(store, first.generation)[0], 50)
    record = store.overview(TENANT).record(first.generation)
    assert record is not None
    assert record.sweep is Sweep.PERSIST
    sweep(store, TENANT, SILENT)
    assert lives_left(store, first.generation) == [-1] * 4


def test_in_an_empty_redis_numbers_begin_at_the_time_so_that_none_comes_back_after_a_loss(
    registry: Registry, versions: list[str], store: GenerationStore
) -> None:
    earliest = (datetime.now(UTC) - keys.EPOCH) // timedelta(seconds=1)
    generation = publish(registry, store).generation
    assert earliest <= generation <= (datetime.now(UTC) - keys.EPOCH) // timedelta(seconds=1)


def test_another_layout_of_keys_is_refused(registry: Registry, versions: list[str], store: GenerationStore) -> None:
    store.connection.client.execute_command("SET", keys.MetaKeys(TENANT).layout, b'{"layout":2}')
    with pytest.raises(PreconditionError, match="layout"):
        publish(registry, store)


def test_a_redis_that_is_not_there_is_said_to_be_unavailable(registry: Registry, versions: list[str]) -> None:
    with connect_blocking(RedisSettings(url="redis://127.0.0.1:1")) as connection, pytest.raises(UnavailableError):
        publish(registry, GenerationStore(connection))


def test_a_record_survives_being_written_and_read() -> None:
    record = GenerationRecord(7, "v", GenerationState.RETIRED, datetime(2026, 1, 2, tzinfo=UTC), Sweep.EXPIRE, 3, 1, 6)
    record = replace(record, expire_time=datetime(2026, 1, 3, 4, 5, 6, 7_000, tzinfo=UTC))
    assert GenerationRecord.from_json(record.to_json()) == record
    later = record.to_json().replace(b"{", b'{"added_later":1,', 1)
    assert GenerationRecord.from_json(later) == record


def test_moves_through_a_server_end_in_the_same_state(
    registry: Registry, versions: list[str], store: GenerationStore, redis_url: str
) -> None:
    first = publish(registry, store)
    publish(registry, store, versions[1])

    async def move() -> list[int]:
        server = Store.open(patient(redis_url))
        moved = [await server.models.roll_back(TENANT), await server.models.promote(TENANT, versions[1], force=True)]
        await server.models.sweep(TENANT)
        await server.aclose()
        return [record.generation for record in moved]

    assert asyncio.run(move()) == [first.generation, first.generation + 1]
    assert min(lives_left(store, first.generation)) > 0
    assert lives_left(store, first.generation + 1) == [-1] * 4
