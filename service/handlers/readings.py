"""Reads whom answers are for, each out of the lists of the models that fill their slates."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence

from dangol.v1 import offer_service_pb2
from models.profile import EMPTY_PROFILE
from service.decision.experiments import treat
from service.decision.query import Customer, Query
from service.decision.snapshot import Snapshot
from service.handlers.caller import Caller, Context
from service.handlers.customer_reads import CustomerReads
from service.handlers.personal import customer_of
from service.handlers.snapshots import Snapshots
from service.store.customer_reader import CustomerRead
from service.store.customer_state import CustomerState

_CUSTOMERS_PER_TURN = 64  # whose arms are looked up before other calls get their turn: about a millisecond
_ROUNDS = 2  # the second is for customers of several ids whose first one meets another arm

_States = Mapping[str, CustomerState]
"""Holds what was read of one customer, by the version of the held model whose lists were read, empty for the live."""


class Readings:
    """Reads customers, and says which fallback stands in for what could not be read."""

    def __init__(self, snapshots: Snapshots, reads: CustomerReads) -> None:
        self._snapshots = snapshots
        self._reads = reads

    async def read(
        self,
        caller: Caller,
        snapshot: Snapshot,
        customer_ids: Sequence[str],
        context: Context,
        query: Query | None = None,
    ) -> tuple[list[Customer], offer_service_pb2.Fallback.ValueType]:
        """Read customers; those that cannot be read are as unknown ones, and the fallback says so.

        Each is read in one round trip, from the generation that their arm fills slates of ``query`` by, without a query
        from the one that is served. Different arms share the command.
        """
        # Asked before waiting: a snapshot that could not be followed is no fresher when its successor comes meanwhile.
        was_failing = self._snapshots.is_failing
        if snapshot.held and query is not None:
            return await self._read_by_arms(caller, snapshot, customer_ids, context, query, was_failing=was_failing)
        read = await self._ask(caller, snapshot, "", customer_ids, context)
        if read is None:
            return _unknown(customer_ids), offer_service_pb2.FALLBACK_SHARED_LIST
        customers = [
            customer_of(customer_id, state) for customer_id, state in zip(customer_ids, read.customers, strict=True)
        ]
        return customers, self._fallback_of(read, snapshot, was_failing=was_failing)

    async def _read_by_arms(
        self,
        caller: Caller,
        snapshot: Snapshot,
        customer_ids: Sequence[str],
        context: Context,
        query: Query,
        *,
        was_failing: bool,
    ) -> tuple[list[Customer], offer_service_pb2.Fallback.ValueType]:
        found: dict[str, dict[str, CustomerState]] = {customer_id: {} for customer_id in customer_ids}
        fallback = offer_service_pb2.FALLBACK_UNSPECIFIED
        for _ in range(_ROUNDS):
            missing = await _missing(snapshot, query, found)
            asked = [self._ask(caller, snapshot, version, ids, context) for version, ids in missing.items()]
            reads = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
            for (version, ids), read in zip(missing.items(), reads, strict=True):
                if read is None:
                    return _unknown(customer_ids), offer_service_pb2.FALLBACK_SHARED_LIST
                fallback = self._fallback_of(read, snapshot, was_failing=was_failing)
                for customer_id, state in zip(ids, read.customers, strict=True):
                    found[customer_id][version] = state
        return [_known(customer_id, found[customer_id]) for customer_id in customer_ids], fallback

    def _ask(
        self, caller: Caller, snapshot: Snapshot, version: str, customer_ids: Sequence[str], context: Context
    ) -> Coroutine[None, None, CustomerRead | None]:
        return self._reads.read(
            caller.tenant,
            snapshot.under(version).model.generation,
            customer_ids,
            context,
            with_records=self._snapshots.keeps_records,
            with_counters=bool(snapshot.offers.caps),
        )

    def _fallback_of(
        self, read: CustomerRead, snapshot: Snapshot, *, was_failing: bool
    ) -> offer_service_pb2.Fallback.ValueType:
        if read.pointer == snapshot.model.generation:
            return offer_service_pb2.FALLBACK_UNSPECIFIED
        self._snapshots.nudge()
        # A pointer that has just moved is followed within milliseconds and the lists of both generations are there;
        # one that is gone, or that cannot be followed, leaves us with the last good snapshot.
        if read.pointer is None or was_failing or self._snapshots.is_failing:
            return offer_service_pb2.FALLBACK_LAST_SNAPSHOT
        return offer_service_pb2.FALLBACK_UNSPECIFIED


def lack_of(snapshot: Snapshot, query: Query) -> offer_service_pb2.Fallback.ValueType:
    """Say whether an arm's model is not there, so that the one that is served fills its slate."""
    if all(snapshot.has(slate.model_version) for slate in query.slates):
        return offer_service_pb2.FALLBACK_UNSPECIFIED
    return offer_service_pb2.FALLBACK_NO_ARM_MODEL


def _unknown(customer_ids: Sequence[str]) -> list[Customer]:
    return [Customer(customer_id, None, EMPTY_PROFILE, counters=None) for customer_id in customer_ids]


async def _missing(snapshot: Snapshot, query: Query, found: Mapping[str, _States]) -> dict[str, list[str]]:
    """Give by version whose lists are still to be read: of those whom an arm fills a slate for by it."""
    missing: dict[str, list[str]] = {}
    for number, (customer_id, states) in enumerate(found.items(), start=1):
        names = next(iter(states.values())).identity_ids if states else ()
        if states and not names:
            continue
        treated = treat(query, snapshot.experiments, names[0] if names else customer_id)
        for version in {snapshot.held_version(slate.model_version) for slate in treated.slates}:
            if version not in states:
                missing.setdefault(version, []).append(customer_id)
        if number % _CUSTOMERS_PER_TURN == 0:
            await asyncio.sleep(0)
    return missing


def _known(customer_id: str, states: _States) -> Customer:
    customer = customer_of(customer_id, next(iter(states.values())))
    live = states.get("")
    held = {version: state.candidates for version, state in states.items() if version}
    return customer._replace(candidates=live.candidates if live is not None else None, held=held)
