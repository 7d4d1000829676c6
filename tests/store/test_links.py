import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from models.candidates import CANDIDATE, CandidateList
from models.customers import MAXIMAL_IDENTITIES, CustomerRecord
from models.errors import PreconditionError, UnavailableError
from models.profile import EMPTY_PROFILE
from service.store.connection import AsyncConnection, connect
from service.store.customer_reader import CustomerReader
from service.store.customer_state import CustomerState, join_states
from service.store.customer_store import CustomerStore
from service.store.embedded import EmbeddedRedis
from service.store.event_log import EventLog
from service.store.link_store import LinkStore
from service.store.record_reader import RecordReader
from tests.models_fixtures import candidate, candidate_list
from tests.redis_fixtures import patient
from tests.store import samples

TENANT = "local"
NAMES = ("ada", "bob", "card", "device", "eve")
Link = tuple[str, str]

links = strategies.sampled_from(list(itertools.permutations(NAMES, 2)))
steps = strategies.lists(
    strategies.tuples(strategies.sampled_from(["link", "unlink", "unlink-all"]), links), max_size=8
)
tenants = itertools.count()


@pytest.fixture(params=["redis_url", "redis_cluster_url"])
async def connection(request: pytest.FixtureRequest) -> AsyncIterator[AsyncConnection]:
    connection = connect(patient(request.getfixturevalue(request.param)))
    yield connection
    await connection.aclose()


async def known(connection: AsyncConnection, *customer_ids: str, tenant: str = TENANT) -> list[CustomerState]:
    return list((await RecordReader(CustomerReader(connection)).read(tenant, 1, customer_ids, 5)).customers)


def together(edges: Iterable[frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Say by brute force which names are one customer; nothing for a name that is alone."""
    groups = {name: {name} for name in NAMES}
    for edge in edges:
        one, other = edge
        joined = groups[one] | groups[other]
        for name in joined:
            groups[name] = joined
    return {name: tuple(sorted(group)) if len(group) > 1 else () for name, group in groups.items()}


@settings(max_examples=40)
@given(strategies.lists(links, max_size=6), strategies.data())
def test_who_is_one_customer_follows_from_the_set_of_links(
    redis_server: EmbeddedRedis, drawn: list[Link], data: strategies.DataObject
) -> None:
    again = data.draw(strategies.permutations([*drawn, *drawn[:3]]))

    async def run() -> list[list[tuple[str, ...]]]:
        connection = connect(patient(redis_server.url))
        found = []
        for order in (drawn, again):
            tenant = f"t-{next(tenants)}"
            for one, other in order:
                await LinkStore(connection).link(tenant, one, [other], 5)
            found.append([state.identity_ids for state in await known(connection, *NAMES, tenant=tenant)])
        await connection.aclose()
        return found

    expected = together(map(frozenset, drawn))
    assert asyncio.run(run()) == [[expected[name] for name in NAMES]] * 2


@settings(max_examples=40)
@given(steps)
def test_links_taken_back_are_as_if_they_had_never_been(
    redis_server: EmbeddedRedis, taken: list[tuple[str, Link]]
) -> None:
    edges: set[frozenset[str]] = set()

    async def run() -> list[tuple[str, ...]]:
        connection, tenant = connect(patient(redis_server.url)), f"t-{next(tenants)}"
        store = LinkStore(connection)
        for step, (one, other) in taken:
            if step == "link":
                edges.add(frozenset((one, other)))
                answer = await store.link(tenant, one, [other], 5)
            elif step == "unlink":
                edges.discard(frozenset((one, other)))
                answer = await store.unlink(tenant, one, [other], 5)
            else:
                edges.difference_update([edge for edge in edges if one in edge])
                answer = await store.unlink(tenant, one, [], 5)
            assert answer == together(edges)[one]
        states = await known(connection, *NAMES, tenant=tenant)
        await connection.aclose()
        return [state.identity_ids for state in states]

    found = asyncio.run(run())
    assert found == [together(edges)[name] for name in NAMES]


async def test_a_joined_customer_is_the_same_under_every_id(connection: AsyncConnection) -> None:
    log, store = EventLog(connection), CustomerStore(connection)
    await log.append(TENANT, [samples.event(1, "ada"), samples.event(2, "device"), samples.event(3, "ada")], 5)
    await store.store(TENANT, [CustomerRecord("device", language="ko")], 5)
    assert await LinkStore(connection).link(TENANT, "ada", ["device", "card"], 5) == ("ada", "card", "device")
    await log.append(TENANT, [samples.event(4, "card")], 5)
    states = await known(connection, "card", "ada", "device", "stranger")
    for state in states[:3]:
        assert [event.item_id for event in state.profile.events] == ["item-4", "item-3", "item-2", "item-1"]
        assert state.record == CustomerRecord("device", language="ko")
    assert states[3].identity_ids == ()


async def test_what_was_stored_under_an_id_stays_when_it_is_linked_and_unlinked(connection: AsyncConnection) -> None:
    stored = CustomerRecord("ada", language="ko")
    await CustomerStore(connection).store(TENANT, [stored], 5)
    await LinkStore(connection).link(TENANT, "ada", ["device"], 5)
    await LinkStore(connection).unlink(TENANT, "device", [], 5)
    ada, device = await known(connection, "ada", "device")
    assert (ada.record, ada.identity_ids) == (stored, ())
    assert (device.record, device.identity_ids) == (None, ())


async def test_a_customer_has_so_many_ids_and_no_more(connection: AsyncConnection) -> None:
    store = LinkStore(connection)
    names = [f"name-{number:02d}" for number in range(MAXIMAL_IDENTITIES)]
    await store.link(TENANT, names[0], names[1:], 5)
    with pytest.raises(PreconditionError, match="more than 32 ids"):
        await store.link(TENANT, names[7], ["one-more"], 5)
    assert (await known(connection, "one-more"))[0].identity_ids == ()


async def test_an_id_leads_to_the_first_id_of_its_customer(connection: AsyncConnection) -> None:
    await LinkStore(connection).link(TENANT, "device", ["ada"], 5)
    first = await LinkStore(connection).first_ids(TENANT, ["device", "ada", "stranger"], 5)
    assert first == {"device": "ada", "ada": "ada", "stranger": "stranger"}


async def test_ids_are_told_when_whoever_changed_the_links_died_before(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LinkStore(connection)
    await store.link(TENANT, "ada", ["device"], 5)

    async def die(_self: LinkStore, _tenant: str, _version: int, _names: tuple[str, ...]) -> None:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(LinkStore, "_name", die)
        with pytest.raises(UnavailableError):
            await store.unlink(TENANT, "ada", [], 5)
    assert (await known(connection, "device"))[0].identity_ids == ("ada", "device")
    await store.unlink(TENANT, "ada", [], 5)
    assert [state.identity_ids for state in await known(connection, "ada", "device")] == [(), ()]


def test_joined_lists_hold_every_item_once_with_its_best_score_and_its_own_evidence() -> None:
    def listed(rows: dict[int, float], evidence: list[int]) -> CandidateList:
        one = candidate_list([candidate(row, score) for row, score in rows.items()])
        candidates = one.candidates.copy()
        candidates["evidence"] = np.arange(len(rows)) % len(evidence)
        return CandidateList(candidates, np.array(evidence, dtype=np.uint32))

    one = CustomerState(listed({1: 0.5, 2: 0.25}, [10, 11]), EMPTY_PROFILE)
    other = CustomerState(listed({2: 0.75, 3: 0.125}, [11, 12]), EMPTY_PROFILE)
    for states in ([one, other], [other, one]):
        joined = join_states(states, ("a", "b")).candidates
        assert joined is not None
        assert joined.candidates.dtype == CANDIDATE
        assert joined.candidates["row"].tolist() == [2, 1, 3]
        assert joined.candidates["score"].tolist() == [0.75, 0.5, 0.125]
        named = joined.evidence_rows[joined.candidates["evidence"]]
        assert named.tolist() == [11, 10, 12]
