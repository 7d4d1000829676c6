"""Customers with what the shop stored of them, and as one where they have several ids."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from service.store import customer_record_codec, keys
from service.store.candidate_codec import digest_of
from service.store.counter_codec import decode_counters
from service.store.customer_reader import CustomerRead, CustomerReader, decode_state
from service.store.customer_state import CustomerState, join_states


class RecordReader:
    """Reads customers where a shop keeps records of them; use a :class:`CustomerReader` where it keeps none."""

    def __init__(self, reader: CustomerReader) -> None:
        self._reader = reader

    async def read(
        self, tenant: str, generation: int, customer_ids: Sequence[str], timeout: float, *, with_counters: bool = False
    ) -> CustomerRead:
        """Read lists of a generation, profiles, records and, if asked, counters. UnavailableError as the other reader.

        It takes one round trip, as without records, and a second one if any of the customers has other ids.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        pointer, states = await self._states(tenant, generation, customer_ids, timeout, with_counters=with_counters)
        if not any(state.identity_ids for state in states):
            return CustomerRead(pointer, states)
        known = dict(zip(customer_ids, states, strict=True))
        others = [name for name in dict.fromkeys(_names_in(states)) if name not in known]
        if others:
            rest = max(0.0, end - loop.time())
            _, found = await self._states(tenant, generation, others, rest, with_counters=with_counters)
            known |= zip(others, found, strict=True)
        joined = [
            join_states([known[name] for name in state.identity_ids], state.identity_ids)
            if state.identity_ids
            else state
            for state in states
        ]
        return CustomerRead(pointer, joined)

    async def _states(
        self, tenant: str, generation: int, customer_ids: Sequence[str], timeout: float, *, with_counters: bool
    ) -> tuple[int | None, list[CustomerState]]:
        names: list[str] = []
        for customer_id in customer_ids:
            names += (*keys.customer_keys(tenant, generation, customer_id), keys.record_key(tenant, customer_id))
            if with_counters:
                names.append(keys.counters_key(tenant, customer_id))
        pointer, values = await self._reader.values(tenant, names, timeout)
        step = 4 if with_counters else 3
        starts = range(0, len(values), step)
        states = [
            _state_of(customer_id, *values[start : start + step])
            for start, customer_id in zip(starts, customer_ids, strict=True)
        ]
        return pointer, states


def _state_of(
    customer_id: str,
    candidates: bytes | None,
    profile: bytes | None,
    record: bytes | None,
    counters: bytes | None = None,
) -> CustomerState:
    state = decode_state(customer_id, candidates, profile)
    if counters is not None:
        state = replace(state, counters=decode_counters(counters, digest_of(customer_id)))
    if record is None:
        return state
    stored = customer_record_codec.decode(customer_id, record)
    return replace(state, record=stored.record, identity_ids=stored.identity_ids)


def _names_in(states: Iterable[CustomerState]) -> Iterable[str]:
    return (name for state in states for name in state.identity_ids)
