"""A customer's profile as the bytes under one key. docs/redis-layout.md gives the layout byte by byte.

The registered function that records events appends to the value and trims it, so functions.lua knows the layout too.
"""

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import overload

from models.events import Event
from models.profile import EMPTY_PROFILE, MAXIMAL_PROFILE_EVENTS, Profile, ProfileEvent
from service.store.candidate_codec import digest_of

FORMAT = 1
HEADER = struct.Struct("<BBHI8s")
"""Format, reserved, count of records, reserved, digest of the customer id."""
RECORD = struct.Struct("<HqBBB")
"""Size of the whole record, event time in microseconds since 1970, lengths of event type, item id and offer id."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def encode_header(customer_id: str) -> bytes:
    """Give the beginning of a profile that holds nothing yet."""
    return HEADER.pack(FORMAT, 0, 0, 0, digest_of(customer_id))


def encode_record(event: Event) -> bytes:
    """Give what a profile remembers of an event."""
    texts = [text.encode() for text in (event.event_type, event.item_id, event.offer_id)]
    body = b"".join(texts)
    microseconds = (event.event_time - _EPOCH) // _MICROSECOND
    return RECORD.pack(RECORD.size + len(body), microseconds, *(len(text) for text in texts)) + body


def decode(value: bytes, digest: bytes) -> Profile:
    """Read a value; the events are unpacked when they are first looked at.

    A value that is not of the customer with this digest, of another format or damaged is an empty profile.
    """
    if len(value) < HEADER.size or value[0] != FORMAT or value[8:16] != digest:
        return EMPTY_PROFILE
    return Profile(_PackedEvents(value))


class _PackedEvents(Sequence[ProfileEvent]):
    """Unpacks the records of a value on the first look."""

    __slots__ = ("_events", "_value")

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._events: tuple[ProfileEvent, ...] | None = None

    def __len__(self) -> int:
        return len(self._unpacked())

    def __iter__(self) -> Iterator[ProfileEvent]:
        return iter(self._unpacked())

    @overload
    def __getitem__(self, index: int) -> ProfileEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ProfileEvent]: ...
    def __getitem__(self, index: int | slice) -> ProfileEvent | Sequence[ProfileEvent]:
        return self._unpacked()[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._unpacked() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._unpacked())

    def __repr__(self) -> str:
        return repr(self._unpacked())

    def _unpacked(self) -> tuple[ProfileEvent, ...]:
        if self._events is None:
            self._events = _unpack(self._value)
        return self._events


def _unpack(value: bytes) -> tuple[ProfileEvent, ...]:
    """Give the newest events, newest first: the same ones in whichever order they were recorded.

    Events at the same time are ordered by the bytes of their records, as functions.lua orders them when it trims.
    """
    try:
        records = sorted(_records(value), reverse=True)
        return tuple(_event_of(*record) for record in records[:MAXIMAL_PROFILE_EVENTS])
    except (struct.error, UnicodeDecodeError, OverflowError):
        return ()


def _records(value: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the time of each record, in microseconds since 1970, and its bytes."""
    position = HEADER.size
    while position < len(value):
        size, microseconds, *lengths = RECORD.unpack_from(value, position)
        if size != RECORD.size + sum(lengths) or position + size > len(value):
            raise struct.error
        yield microseconds, value[position : position + size]
        position += size


def _event_of(microseconds: int, record: bytes) -> ProfileEvent:
    type_length, item_length, _ = record[RECORD.size - 3 : RECORD.size]
    item_start = RECORD.size + type_length
    offer_start = item_start + item_length
    return ProfileEvent(
        record[RECORD.size : item_start].decode(),
        record[item_start:offer_start].decode(),
        record[offer_start:].decode(),
        _EPOCH + timedelta(microseconds=microseconds),
    )
