"""What makes a customer's candidates fresh: the profile and the published list out of Redis, the fresh list into it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from models.candidates import CandidateList
from models.errors import ArtifactError, NotFoundError
from models.fold_model import FoldModel, decode_fold_model
from models.item_model import ItemModel, decode_item_model
from models.profile import Profile
from service.store import candidate_codec, keys, profile_codec
from service.store.connection import SyncConnection
from service.store.event_log import DAY_SECONDS
from service.store.faults import reaching_redis
from service.store.functions import REFRESH_CANDIDATES, FunctionCall, call_all_blocking, run_keyed
from service.store.generation_record import GenerationRecord, GenerationState
from service.store.keys import MetaKeys
from service.store.lease import Lease
from service.store.scan import profiled

LEASE_SECONDS = 30.0
"""How long who makes the lists of a new generation fresh may be silent before another worker takes over."""


@dataclass(frozen=True, slots=True)
class Published:
    """Is a customer as a fresh list is made from them. ``candidates`` is None where no list was published.

    ``version`` names the profile as it was read: SHA-1 in hexadecimal.
    """

    customer_id: str
    profile: Profile
    version: str
    candidates: CandidateList | None


class CandidateRefresh:
    """Reads and replaces lists of one tenant. Failures of Redis are UnavailableError throughout."""

    def __init__(self, connection: SyncConnection, tenant: str, lists_days: float) -> None:
        """``lists_days`` is how long lists that were made fresh stay where their generation does not end sooner."""
        self._connection = connection
        self._tenant = tenant
        self._seconds = int(lists_days * DAY_SECONDS)

    def current(self) -> list[GenerationRecord]:
        """Give the live generation, then those that are held; none when nothing is published or Redis is empty."""
        with reaching_redis():
            values = self._connection.client.execute_command("HVALS", MetaKeys(self._tenant).generations)
        records = map(GenerationRecord.from_json, values)
        wanted = [one for one in records if one.state is GenerationState.LIVE or one.hold_time is not None]
        return sorted(wanted, key=lambda one: (one.state is not GenerationState.LIVE, one.generation))

    def load(self, record: GenerationRecord) -> tuple[ItemModel, FoldModel] | None:
        """Load what lists of a generation are made with; None when it was published without.

        NotFoundError when parts of it are gone, ArtifactError when damaged.
        """
        if record.fold_parts == 0:
            return None
        meta, number = MetaKeys(self._tenant), record.generation
        items = self._joined([meta.model_part(number, part) for part in range(record.parts)], number)
        fold = self._joined([meta.fold_part(number, part) for part in range(record.fold_parts)], number)
        item_model = decode_item_model(items, f"items of generation {number}")
        fold_model = decode_fold_model(fold, f"fold model of generation {number}")
        if len(fold_model.item_factors) != len(item_model.vocabulary):
            raise ArtifactError(f"fold model of generation {number}", "has factors for other items")
        return item_model, fold_model

    def read(self, generation: int, customer_ids: Sequence[str]) -> list[Published]:
        """Read customers, in the order given."""
        names = [keys.refresh_keys(self._tenant, generation, customer_id) for customer_id in customer_ids]
        with reaching_redis():
            answers = run_keyed(self._connection, [(key[0], ("MGET", *key)) for key in names])
        return [_published(customer_id, *values) for customer_id, values in zip(customer_ids, answers, strict=True)]

    def write(self, generation: int, fresh: Sequence[tuple[Published, CandidateList]]) -> list[bool]:
        """Replace lists; False where the profile changed since it was read, and nothing was replaced."""
        calls = []
        for published, candidates in fresh:
            names = keys.refresh_keys(self._tenant, generation, published.customer_id)
            # What the training expects of a customer stays what it was.
            outlook = published.candidates.outlook if published.candidates is not None else 0
            value = candidate_codec.encode_list(published.customer_id, replace(candidates, outlook=outlook))
            calls.append(FunctionCall(REFRESH_CANDIDATES, names, (published.version, value, self._seconds)))
        with reaching_redis():
            return [replaced == 1 for replaced in call_all_blocking(self._connection, calls)]

    def lease(self, generation: int, owner: str) -> Lease:
        """Give the lease of who makes all lists of a new generation fresh."""
        return Lease(self._connection, MetaKeys(self._tenant).refolding(generation), owner, LEASE_SECONDS)

    def profiled(self) -> Iterator[list[str]]:
        """Walk over the customers who have a profile, step by step."""
        with reaching_redis():
            yield from profiled(self._connection, self._tenant)

    def _joined(self, names: Sequence[str], generation: int) -> bytes:
        parts = []
        for name in names:
            with reaching_redis():
                part = self._connection.client.execute_command("GET", name)
            if part is None:
                raise NotFoundError(f"the model of generation {generation} is gone from Redis")
            parts.append(part)
        return b"".join(parts)


def _published(customer_id: str, profile: bytes | None, candidates: bytes | None, base: bytes | None) -> Published:
    digest = candidate_codec.digest_of(customer_id)
    # An empty value says that the list beside it was made fresh and none was published.
    value = candidates if base is None else base
    return Published(
        customer_id,
        profile_codec.decode(profile or b"", digest),
        hashlib.sha1(profile or b"", usedforsecurity=False).hexdigest(),
        candidate_codec.decode(value, digest) if value else None,
    )
