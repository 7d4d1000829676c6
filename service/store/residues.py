"""Finds what is left of erased customers in Redis, wherever it may be, and removes it piece by piece.

Ids are recognised by their digests, so that nobody needs to keep the ids. To verify is to walk and count; to clean is
to walk and remove. Both hold Redis up no longer than any other job.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from models.catalog import CatalogChange, Expectation
from models.errors import ConflictError
from models.offers import Audience
from service.store import functions, keys
from service.store.candidate_codec import digest_of
from service.store.catalog_codec import decode_change, decode_record, etag_of
from service.store.catalog_store import apply_blocking
from service.store.clients import Argument
from service.store.connection import SyncConnection
from service.store.customer_record_codec import SEPARATOR
from service.store.erasure_store import read_erasures
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall, call_blocking
from service.store.keys import MetaKeys
from service.store.push_store import forget_call
from service.store.scan import scan

_PAGE = 1_000
_LATE = timedelta(minutes=10)
_AUDIENCES = 5  # an audience can be a megabyte


@dataclass(frozen=True, slots=True)
class Residue:
    """Is one thing that should not be there: in which place, and what removes it."""

    place: str
    remove: Callable[[], object]


class RedisResidues:
    """Walks over the places of one tenant. Failures of Redis are UnavailableError throughout."""

    def __init__(self, connection: SyncConnection, tenant: str, digests: frozenset[bytes]) -> None:
        """``digests`` recognise the ids that were erased: BLAKE2b, 8 bytes each."""
        self._connection = connection
        self._tenant = tenant
        self._meta = MetaKeys(tenant)
        self._digests = digests

    def shared(self) -> Iterator[Residue]:
        """Walk over what holds many customers under one key: streams, links, reservations, audiences."""
        for shard in range(keys.SHARD_COUNT):
            for name in (keys.log_key(self._tenant, shard), keys.dead_key(self._tenant, shard)):
                yield from self._in_stream(name)
            yield from self._in_pushes(shard)
        yield from self._in_links()
        yield from self._in_reservations()
        yield from self._in_audiences()
        yield from self._in_changes()

    def owned(self) -> Iterator[Residue]:
        """Walk over every key, for those that bear a customer's id."""
        with reaching_redis():
            for names in scan(self._connection, f"{self._tenant}:{{*}}:*"):
                for name in names:
                    kind, _, rest = name.decode().partition("}:")[2].partition(":")
                    # A number may stand before the id, and an id may look like a number with more behind it.
                    ids = (rest, rest.partition(":")[2])
                    if not name.startswith(self._meta.prefix) and any(map(self._is_erased, ids)):
                        yield Residue(f"key {kind}", partial(self._run, "UNLINK", name))

    def _is_erased(self, customer_id: str) -> bool:
        return digest_of(customer_id) in self._digests

    def _run(self, *command: Argument) -> object:
        with reaching_redis():
            return self._connection.client.execute_command(*command)

    def _in_stream(self, name: str) -> Iterator[Residue]:
        after = "-"
        while True:
            with reaching_redis():
                page = self._connection.client.execute_command("XRANGE", name, after, "+", "COUNT", _PAGE)
            for entry_id, fields in page:
                customer_id, event_id = _names_of(fields.get(b"event", b""))
                if self._is_erased(customer_id):
                    seen = keys.seen_key(self._tenant, keys.shard_of(customer_id), event_id)
                    yield Residue(name.rpartition(":")[2], partial(self._remove_entry, name, entry_id, seen))
            if len(page) < _PAGE:
                return
            after = "(" + page[-1][0].decode()

    def _remove_entry(self, name: str, entry_id: bytes, seen: str) -> None:
        self._run("XDEL", name, entry_id)
        self._run("UNLINK", seen)

    def _in_pushes(self, shard: int) -> Iterator[Residue]:
        name = keys.pushes_key(self._tenant, shard)
        for push_id, value in self._hash(name, _PAGE):
            customer_id = _names_of(value.partition(SEPARATOR.encode())[2])[0]
            if self._is_erased(customer_id):
                yield Residue("pushes", partial(self._call, forget_call(self._tenant, customer_id)))
                # Without marks nothing tells which pushes are the customer's, but this walk.
                yield Residue("pushes", partial(self._run, "HDEL", name, push_id))

    def _in_links(self) -> Iterator[Residue]:
        for id_, others in self._hash(self._meta.links, _PAGE):
            named = [id_.decode(), *others.decode().split(SEPARATOR)]
            for other in named[1:]:
                if self._is_erased(named[0]) or self._is_erased(other):
                    yield Residue("links", partial(self._unlink, named[0], other))

    def _unlink(self, one: str, other: str) -> None:
        names = (self._meta.links, self._meta.links_version)
        with reaching_redis():
            call_blocking(self._connection, FunctionCall(functions.FORGET_LINK, names, (one, other)))

    def _in_reservations(self) -> Iterator[Residue]:
        with reaching_redis():
            found = [name for names in scan(self._connection, self._meta.reservations("*")) for name in names]
            for name in found:
                for member in self._connection.client.execute_command("ZRANGE", name, 0, -1):
                    if self._is_erased(member.decode()):
                        yield Residue("reservations", partial(self._run, "ZREM", name, member))

    def _in_audiences(self) -> Iterator[Residue]:
        for id_, content in self._hash(self._meta.catalog_records("audiences"), _AUDIENCES):
            audience = decode_record("audiences", id_.decode(), content)
            if isinstance(audience, Audience) and any(map(self._is_erased, audience.customer_ids)):
                yield Residue("audiences", partial(self._remove_from, audience, content))

    def _remove_from(self, audience: Audience, content: bytes) -> None:
        left = frozenset(name for name in audience.customer_ids if not self._is_erased(name))
        change = CatalogChange(
            audiences=(replace(audience, customer_ids=left),),
            expectations=(Expectation("audiences", audience.audience_id, etag_of(content)),),
        )
        try:
            apply_blocking(self._connection, self._tenant, change)
        except ConflictError:
            # Somebody stored the audience meanwhile; the next walk looks at what they stored.
            return

    def _in_changes(self) -> Iterator[Residue]:
        """Find the newest change that names an erased customer: all changes up to it go, as a gap would mislead."""
        with reaching_redis():
            entries = self._connection.client.execute_command("XRANGE", self._meta.catalog_changes, "-", "+")
        last = None
        for entry_id, fields in entries:
            change = decode_change(fields[b"batch"], 0)
            if any(self._is_erased(name) for audience in change.audiences for name in audience.customer_ids):
                last = entry_id
        if last is not None:
            names = (self._meta.catalog_changes, self._meta.catalog_changes_bytes)
            call = FunctionCall(functions.FORGET_CHANGES, names, (last,))
            yield Residue("changes of the catalogue", partial(self._call, call))

    def _call(self, call: FunctionCall) -> int:
        with reaching_redis():
            return call_blocking(self._connection, call)

    def _hash(self, name: str, count: int) -> Iterator[tuple[bytes, bytes]]:
        cursor = 0
        while True:
            with reaching_redis():
                cursor, page = self._connection.client.execute_command("HSCAN", name, cursor, "COUNT", count)
            yield from page.items()
            if cursor == 0:
                return


def clean_shared(connection: SyncConnection, tenant: str) -> int:
    """Remove what places shared by many customers hold of those just erased, and count it. UnavailableError.

    For some minutes it is done again and again: what was on its way when they were erased has arrived by then.
    """
    since = datetime.now(UTC) - _LATE
    recent = [erasure for erasure in read_erasures(connection, tenant) if erasure.erase_time > since]
    digests = frozenset(bytes.fromhex(one.digest) for erasure in recent for one in erasure.ids)
    count = 0
    for residue in RedisResidues(connection, tenant, digests).shared() if digests else ():
        residue.remove()
        count += 1
    return count


def _names_of(event: bytes) -> tuple[str, str]:
    """Give the ids of the customer and of an event as the log holds it; empty when it is none."""
    try:
        fields = json.loads(event)
        return str(fields["customer_id"]), str(fields.get("event_id", ""))
    except (ValueError, KeyError, TypeError):
        return "", ""
