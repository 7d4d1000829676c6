from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from models.catalog import CatalogChange
from models.offers import Placement
from service.store.catalog_store import KEPT_VERSIONS, CatalogStore
from service.store.connection import AsyncConnection, connect, connect_blocking
from service.store.customer_sample import sample_customers
from service.store.generation_store import GenerationStore
from service.store.keys import candidates_key
from tests.redis_fixtures import patient

TENANT = "local"


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[AsyncConnection]:
    connection = connect(patient(request.getfixturevalue(request.param)))
    yield connection
    await connection.aclose()


async def sizes(store: CatalogStore, name: str = "home-top") -> list[tuple[int, int | None]]:
    versions = await store.placement_versions(TENANT, name)
    return [(one.version, one.placement.size if one.placement is not None else None) for one in versions]


async def test_whatever_was_stored_under_a_name_is_a_version_and_so_is_its_deletion(
    connection: AsyncConnection,
) -> None:
    store = CatalogStore(connection)
    before = datetime.now(UTC).replace(microsecond=0)
    for size in (3, 4):
        await store.apply(TENANT, CatalogChange(placements=(Placement("home-top", size), Placement("other", size))), 5)
    await store.apply(TENANT, CatalogChange(deleted_placements=("home-top",)), 5)
    assert await sizes(store) == [(3, None), (2, 4), (1, 3)]
    (newest, *_) = await store.placement_versions(TENANT, "home-top")
    assert before <= newest.store_time <= datetime.now(UTC)
    assert await sizes(store, "never-was") == []


async def test_storing_the_same_again_or_deleting_nothing_is_no_version(connection: AsyncConnection) -> None:
    store = CatalogStore(connection)
    for _ in range(2):
        await store.apply(TENANT, CatalogChange(placements=(Placement("home-top", 3),)), 5)
        await store.apply(TENANT, CatalogChange(deleted_placements=("never-was",)), 5)
    assert await sizes(store) == [(1, 3)]
    assert await sizes(store, "never-was") == []


async def test_only_the_newest_versions_are_kept_and_they_keep_their_etags(connection: AsyncConnection) -> None:
    store = CatalogStore(connection)
    for size in range(1, KEPT_VERSIONS + 6):
        await store.apply(TENANT, CatalogChange(placements=(Placement("home-top", size),)), 5)
    versions = await store.placement_versions(TENANT, "home-top")
    assert [one.version for one in versions] == list(range(KEPT_VERSIONS + 5, 5, -1))
    stored = (await store.load(TENANT)).placements["home-top"]
    assert versions[0].placement is not None
    assert versions[0].placement.etag == stored.etag


@pytest.mark.parametrize("url", ["redis_url", "redis_cluster_url"])
def test_a_sample_holds_customers_of_the_generation_alone(request: pytest.FixtureRequest, url: str) -> None:
    with connect_blocking(patient(request.getfixturevalue(url))) as blocking:
        for number in range(50):
            blocking.client.execute_command("SET", candidates_key(TENANT, 7, f"a:b-{number}"), "x")
            blocking.client.execute_command("SET", candidates_key(TENANT, 6, f"old-{number}"), "x")
        found = sample_customers(GenerationStore(blocking).connection, TENANT, 7, 20)
        assert len(set(found)) == 20
        assert all(name.startswith("a:b-") for name in found)
        assert len(sample_customers(blocking, TENANT, 7, 100)) == 50
