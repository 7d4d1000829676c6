"""All candidate lists of a generation, read step by step and turned around."""

from collections.abc import Callable, Sequence

from models.candidate_index import CandidateIndex, CandidateIndexBuilder
from service.store import keys
from service.store.address import Topology
from service.store.candidate_codec import decode_columns
from service.store.connection import SyncConnection
from service.store.faults import reaching_redis
from service.store.functions import run_keyed
from service.store.scan import scan


def index_candidates(
    connection: SyncConnection, tenant: str, generation: int, item_count: int, on_step: Callable[[int], None]
) -> CandidateIndex:
    """Read every list of a generation whose model has ``item_count`` items.

    UnavailableError when Redis fails, PreconditionError when a list is not of that model. ``on_step`` is told after
    each step how many lists were read in it; whatever it raises ends the reading. A customer whose list comes or goes
    meanwhile may be in the index or not, and while Redis' table grows somebody may be twice.
    """
    builder = CandidateIndexBuilder(item_count)
    # Of all shards the same length; but an id of another key may hold the same characters.
    prefixes = {keys.candidates_prefix(tenant, generation, shard).encode() for shard in range(keys.SHARD_COUNT)}
    length = len(next(iter(prefixes)))
    with reaching_redis():
        for names in scan(connection, f"{tenant}:{{*}}:c:{generation}:*"):
            found = [name for name in names if name[:length] in prefixes]
            lists = decode_columns([name[length:] for name in found], _values(connection, found))
            builder.add(lists)
            on_step(len(lists.customer_ids))
    return builder.finish()


def _values(connection: SyncConnection, names: Sequence[bytes]) -> list[bytes | None]:
    """Read lists in the order of their names; on a Cluster shard by shard."""
    if not names:
        return []
    if connection.topology is not Topology.CLUSTER:
        values: list[bytes | None] = connection.client.execute_command("MGET", *names)
        return values
    places: dict[bytes, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name[: name.index(b"}")], []).append(place)
    groups = list(places.values())
    answers = run_keyed(
        connection,
        [(names[group[0]].decode(), ("MGET", *(names[place] for place in group))) for group in groups],
    )
    found: dict[int, bytes | None] = {}
    for group, answer in zip(groups, answers, strict=True):
        found |= zip(group, answer, strict=True)
    return [found[place] for place in range(len(names))]
