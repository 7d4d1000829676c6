"""A customer's counters for caps as the bytes under one key. docs/redis-layout.md gives the layout byte by byte.

The registered functions that count change the value, so functions.lua knows the layout too.
"""

import struct
from collections.abc import Iterable, Mapping

from models.counters import Move, counter_name
from service.store.profile_codec import FORMAT, HEADER

RECORD = struct.Struct("<HII")
"""Size of the whole record, when it is forgotten in seconds since 1970, the count; the name follows."""

GRACE_SECONDS = 3_600
"""How long a counter is kept after its bucket: the clock of a server may be behind that of Redis."""


def encode_moves(moves: Iterable[Move]) -> bytes:
    """Write steps as records that count 1 each."""
    parts = []
    for _, bucket, counter in moves:
        name = counter_name(bucket.name, counter).encode()
        parts.append(RECORD.pack(RECORD.size + len(name), bucket.end + GRACE_SECONDS, 1) + name)
    return b"".join(parts)


def decode_counters(value: bytes, digest: bytes) -> Mapping[str, int]:
    """Read a value: counts by :func:`~models.counters.counter_name`.

    A value that is not of the customer with this digest, of another format or damaged counts nothing.
    """
    if len(value) < HEADER.size or value[0] != FORMAT or value[8:16] != digest:
        return {}
    counts: dict[str, int] = {}
    position = HEADER.size
    try:
        while position < len(value):
            size, _, count = RECORD.unpack_from(value, position)
            if size < RECORD.size:
                return {}
            counts[value[position + RECORD.size : position + size].decode()] = count
            position += size
    except (struct.error, UnicodeDecodeError):
        return {}
    return counts
