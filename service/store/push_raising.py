"""The workers' side of the push queue: whom pushes may be made for, and the pushes that are made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.customers import CustomerRecord
from models.profile import Profile
from models.pushes import Push
from service.store import customer_record_codec, keys, profile_codec
from service.store.candidate_codec import digest_of
from service.store.connection import SyncConnection
from service.store.customer_state import CustomerState, join_states
from service.store.faults import reaching_redis
from service.store.functions import call_all_blocking, run_keyed
from service.store.keys import MetaKeys
from service.store.lease import Lease
from service.store.push_marks import PushMarks, join_marks, read_marks
from service.store.push_store import add_call, overdue_call
from service.store.scan import profiled

LEASE_SECONDS = 30.0
"""How long who walks over all customers may be silent before another worker takes over."""
_OVERDUE = 1_000  # pushes of a shard that are forgotten in one step
_GONE = b"0"


@dataclass(frozen=True, slots=True)
class Addressee:
    """Is a customer whom something may be pushed to, under all of their ids, which stand in order."""

    customer_ids: tuple[str, ...]
    profile: Profile
    record: CustomerRecord | None
    marks: PushMarks

    @property
    def customer_id(self) -> str:
        """Give the first of the ids."""
        return self.customer_ids[0]


class PushRaising:
    """Reads customers and adds pushes, of one tenant. Failures of Redis are UnavailableError throughout."""

    def __init__(self, connection: SyncConnection, tenant: str) -> None:
        self._connection = connection
        self._tenant = tenant
        self._missed = MetaKeys(tenant).missed

    def read(self, customer_ids: Sequence[str]) -> list[Addressee]:
        """Read customers, each once, whichever of their ids are named."""
        known = dict(zip(customer_ids, self._states(customer_ids), strict=True))
        others = list({name for state in known.values() for name in state.identity_ids if name not in known})
        known |= zip(others, self._states(others), strict=True)
        groups = dict.fromkeys(known[customer_id].identity_ids or (customer_id,) for customer_id in customer_ids)
        names = [name for group in groups for name in group]
        marks = dict(zip(names, self._marks(names), strict=True))
        return [_addressee(group, known, [marks[name] for name in group]) for group in groups]

    def add(self, pushes: Mapping[str, Sequence[Push]], now: float) -> int:
        """Add pushes, by customer, and give how many had never been added before."""
        calls = [add_call(self._tenant, customer_id, own, now) for customer_id, own in pushes.items()]
        with reaching_redis():
            return sum(call_all_blocking(self._connection, calls))

    def profiled(self) -> Iterator[list[str]]:
        """Walk over the customers who have a profile, step by step."""
        with reaching_redis():
            yield from profiled(self._connection, self._tenant)

    def lease(self, owner: str) -> Lease:
        """Give the lease of who walks over all customers."""
        return Lease(self._connection, MetaKeys(self._tenant).pushing, owner, LEASE_SECONDS)

    def miss(self, item_ids: Iterable[str]) -> None:
        """Remember that somebody looked at items that the shop lacks."""
        with reaching_redis():
            for item_id in item_ids:
                self._connection.client.execute_command("HSETNX", self._missed, item_id, _GONE)

    def missed(self) -> dict[str, float]:
        """Give the items that the shop lacked, and when they came back, 0 for those that did not."""
        with reaching_redis():
            found = self._connection.client.execute_command("HGETALL", self._missed)
        return {item_id.decode(): float(time) for item_id, time in found.items()}

    def note_missed(self, changed: Mapping[str, float | None]) -> None:
        """Note when items came back, 0 for those that are gone again; None forgets an item."""
        with reaching_redis():
            for item_id, time in changed.items():
                if time is None:
                    self._connection.client.execute_command("HDEL", self._missed, item_id)
                else:
                    self._connection.client.execute_command("HSET", self._missed, item_id, repr(time))

    def forget_overdue(self, now: float) -> int:
        """Forget pushes that nobody leased, and count them."""
        calls = [overdue_call(self._tenant, shard, now, _OVERDUE) for shard in range(keys.SHARD_COUNT)]
        with reaching_redis():
            return sum(call_all_blocking(self._connection, calls))

    def waiting(self) -> int:
        """Count the pushes that wait or are leased."""
        names = [keys.due_key(self._tenant, shard) for shard in range(keys.SHARD_COUNT)]
        with reaching_redis():
            return sum(map(int, run_keyed(self._connection, [(name, ("ZCARD", name)) for name in names])))

    def _states(self, customer_ids: Sequence[str]) -> list[CustomerState]:
        names = [
            (keys.profile_key(self._tenant, customer_id), keys.record_key(self._tenant, customer_id))
            for customer_id in customer_ids
        ]
        with reaching_redis():
            answers = run_keyed(self._connection, [(pair[0], ("MGET", *pair)) for pair in names])
        return [_state(customer_id, *values) for customer_id, values in zip(customer_ids, answers, strict=True)]

    def _marks(self, customer_ids: Sequence[str]) -> list[PushMarks]:
        names = [keys.marks_key(self._tenant, customer_id) for customer_id in customer_ids]
        with reaching_redis():
            return [
                read_marks(one) for one in run_keyed(self._connection, [(name, ("HGETALL", name)) for name in names])
            ]


def _state(customer_id: str, profile: bytes | None, record: bytes | None) -> CustomerState:
    events = profile_codec.decode(profile or b"", digest_of(customer_id))
    stored = customer_record_codec.decode(customer_id, record) if record is not None else None
    if stored is None:
        return CustomerState(None, events)
    return CustomerState(None, events, stored.record, stored.identity_ids)


def _addressee(names: tuple[str, ...], known: Mapping[str, CustomerState], marks: Sequence[PushMarks]) -> Addressee:
    states = [known[name] for name in names]
    joined = join_states(states, names) if len(states) > 1 else states[0]
    return Addressee(names, joined.profile, joined.record, join_marks(marks))
