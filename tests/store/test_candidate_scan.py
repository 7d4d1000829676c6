from collections.abc import Iterator

import numpy as np
import pytest

from models.candidates import CandidateTable
from models.errors import UnavailableError
from service.store.candidate_codec import digest_of
from service.store.candidate_scan import index_candidates
from service.store.connection import RedisSettings, SyncConnection, connect_blocking
from service.store.generation_store import GenerationStore
from tests.redis_fixtures import free_port, patient
from tests.store.samples import random_table

ITEMS = 8
PEOPLE = [f"Kundin {number}:c:7:ä" for number in range(2_500)]


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
def connection(request: pytest.FixtureRequest) -> Iterator[SyncConnection]:
    with connect_blocking(patient(request.getfixturevalue(request.param))) as opened:
        yield opened


def lists() -> CandidateTable:
    table = random_table(PEOPLE, width=4)
    table.candidates["row"] = np.argsort(np.random.default_rng(3).random((len(PEOPLE), ITEMS)))[:, :4]
    return table


def written(connection: SyncConnection, generation: int, table: CandidateTable) -> None:
    for _ in GenerationStore(connection).write_lists("local", generation, table):
        pass


def test_every_list_of_a_generation_is_read_and_no_other(connection: SyncConnection) -> None:
    table = lists()
    written(connection, 7, table)
    written(connection, 77, random_table(["somebody else"]))
    connection.client.execute_command("SET", "local:{07}:p:x}:c:7:y", b"a profile")
    connection.client.execute_command("SET", "local:{07}:c:7:damaged", b"no list at all")
    steps: list[int] = []
    index = index_candidates(connection, "local", 7, ITEMS, steps.append)
    assert sum(steps) == len(index) == len(PEOPLE)
    ranking = index.rank(np.array([5], np.uint32))
    found = {index.customer_id(place): score for place, score in zip(ranking.positions, ranking.scores, strict=True)}
    own = [table.list_at(place).candidates for place in range(len(PEOPLE))]
    fifth = [one["score"][one["row"] == 5].tolist() for one in own]
    assert found == {name: scores[0] for name, scores in zip(PEOPLE, fifth, strict=True) if scores}
    assert ranking.digests.tolist() == [
        int.from_bytes(digest_of(index.customer_id(place)), "little") for place in ranking.positions
    ]


def test_an_empty_generation_has_nobody(connection: SyncConnection) -> None:
    assert len(index_candidates(connection, "local", 7, ITEMS, lambda _: None)) == 0


def test_whoever_watches_may_end_the_reading(connection: SyncConnection) -> None:
    written(connection, 7, lists())

    def stop(_count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_candidates(connection, "local", 7, ITEMS, stop)


def test_a_redis_that_is_away_is_unavailable() -> None:
    away = RedisSettings(url=f"redis://127.0.0.1:{free_port()}")
    with connect_blocking(away) as connection, pytest.raises(UnavailableError):
        index_candidates(connection, "local", 7, ITEMS, lambda _: None)
