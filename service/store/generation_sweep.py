"""What is due on the lists of generations that came or went: they expire, persist or vanish, some thousand at a time.

A sweep may end at any point, killed or not: what is due stands in the generation's record until it is done, and doing
it twice is the same as doing it once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from models.progress import Progress
from service.store.clients import Argument
from service.store.faults import reaching_redis
from service.store.generation_record import GenerationRecord, GenerationState, Sweep
from service.store.generation_store import GenerationStore
from service.store.scan import scan

RETIRED_LIFE = timedelta(hours=24)
"""How long a retired generation stays, and so how long a roll back to it is possible."""
SETTLING = timedelta(seconds=60)
"""A generation made live again is persisted until a sweep began this long after: an older sweep that was making it
expire may have been halted between its look at the record and its command."""


def sweep(store: GenerationStore, tenant: str, progress: Progress, retired_life: timedelta = RETIRED_LIFE) -> None:
    """Do what is due on every generation of a tenant. UnavailableError; call it again then."""
    now = store.now()
    for record in store.overview(tenant).records:
        if record.state is GenerationState.WRITING and record.lease_time is not None and record.lease_time < now:
            store.abandon(tenant, record.generation)
    for record in store.overview(tenant).records:
        if record.sweep is not Sweep.NOTHING:
            with progress.stage(
                f"generation {record.generation}: {record.sweep.value} lists", record.customers
            ) as stage:
                for count in _sweep_generation(store, tenant, record, retired_life):
                    stage.advance(count)
        elif record.state is GenerationState.RETIRED and record.expire_time is not None and record.expire_time < now:
            _conclude(store, tenant, record, None)


def _sweep_generation(
    store: GenerationStore, tenant: str, record: GenerationRecord, retired_life: timedelta
) -> Iterator[int]:
    began = store.now()
    if record.sweep is Sweep.EXPIRE and record.expire_time is None:
        dated = replace(record, expire_time=began + retired_life)
        if not _conclude(store, tenant, record, dated):
            return
        record = dated
    for names in _keys_of(store, tenant, record.generation):
        current = store.overview(tenant).record(record.generation)
        if current is None or current.sweep is not record.sweep:
            return
        store.run([_command(record, name) for name in names])
        yield len(names)
    if record.sweep is Sweep.UNLINK:
        _conclude(store, tenant, record, None)
    elif record.sweep is Sweep.EXPIRE or began > record.state_time + SETTLING:
        _conclude(store, tenant, record, replace(record, sweep=Sweep.NOTHING))


def _command(record: GenerationRecord, name: bytes) -> Sequence[Argument]:
    if record.sweep is Sweep.EXPIRE and record.expire_time is not None:
        return ("PEXPIREAT", name, int(record.expire_time.timestamp() * 1_000))
    return ("PERSIST" if record.sweep is Sweep.PERSIST else "UNLINK", name)


def _conclude(store: GenerationStore, tenant: str, record: GenerationRecord, then: GenerationRecord | None) -> bool:
    """Replace a record, or forget it, unless it changed."""
    while True:
        seen = store.overview(tenant)
        if seen.record(record.generation) != record:
            return False
        if then is None and store.change(tenant, seen, [], forgotten=[record.generation]):
            return True
        if then is not None and store.change(tenant, seen, [then]):
            return True


def _keys_of(store: GenerationStore, tenant: str, generation: int) -> Iterator[list[bytes]]:
    """Find the keys of a generation: lists, as published and made fresh, and parts of the model."""
    beginnings = tuple(f"{kind}:{generation}:".encode() for kind in ("c", "b", "model"))
    with reaching_redis():
        for names in scan(store.connection, f"{tenant}:{{*}}:*:{generation}:*"):
            # An id may hold the same characters: what follows the hash tag decides.
            found = [name for name in names if name.partition(b"}:")[2].startswith(beginnings)]
            if found:
                yield found


def is_due(records: Sequence[GenerationRecord], now: datetime) -> bool:
    """Tell whether a sweep would find anything to do."""
    return any(
        record.sweep is not Sweep.NOTHING
        or (record.lease_time is not None and record.lease_time < now)
        or (record.expire_time is not None and record.expire_time < now)
        for record in records
    )
