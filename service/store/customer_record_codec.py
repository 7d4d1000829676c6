"""A customer's record as the bytes under one key. docs/redis-layout.md gives the layout byte by byte.

Registered functions replace the names and the JSON apart from each other, so functions.lua knows the layout too.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from models.customers import NEVER, AttributeValue, Consent, ConsentStatus, CustomerRecord
from models.errors import InvalidInputError
from service.store.candidate_codec import digest_of

FORMAT = 1
HEADER = struct.Struct("<BBHI8s")
"""Format, reserved, size of the names, version of the links that the names follow from, digest of the customer id."""
SEPARATOR = "\n"
"""Stands between names, which hold no control characters."""
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StoredCustomer:
    """Is what lies under a customer's key: what was stored, if anything, and all ids that are theirs, in order.

    ``identity_ids`` is empty for a customer with one id.
    """

    record: CustomerRecord | None
    identity_ids: tuple[str, ...]


UNKNOWN = StoredCustomer(None, ())


def encode_header(customer_id: str) -> bytes:
    """Give the beginning of a value that says nothing yet."""
    return HEADER.pack(FORMAT, 0, 0, 0, digest_of(customer_id))


def encode_names(identity_ids: tuple[str, ...]) -> bytes:
    """Write the ids of one customer."""
    return SEPARATOR.join(identity_ids).encode()


def encode_record(record: CustomerRecord) -> bytes:
    """Write what a shop stored as compact JSON; what is empty is left out."""
    content = {
        "time_zone": record.time_zone,
        "language": record.language,
        "attributes": dict(record.attributes),
        "consents": [
            [consent.category, consent.channel, consent.status.value, _milliseconds(consent.statement_time)]
            for consent in record.consents
        ],
        "update_time": _milliseconds(record.update_time),
    }
    filled = {name: value for name, value in content.items() if value}
    return json.dumps(filled, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode(customer_id: str, value: bytes) -> StoredCustomer:
    """Read a value. One that is damaged, of another format or of another customer says nothing."""
    if len(value) < HEADER.size or value[0] != FORMAT or value[8:16] != digest_of(customer_id):
        return UNKNOWN
    end = HEADER.size + (value[2] | value[3] << 8)
    try:
        names = value[HEADER.size : end].decode()
        record = decode_record(customer_id, value[end:]) if end < len(value) else None
    except (InvalidInputError, UnicodeDecodeError):
        return UNKNOWN
    return StoredCustomer(record, tuple(names.split(SEPARATOR)) if names else ())


def decode_record(customer_id: str, content: bytes) -> CustomerRecord:
    """Read what a shop stored. InvalidInputError when it is no record."""
    try:
        fields = json.loads(content)
        return CustomerRecord(
            customer_id=customer_id,
            time_zone=fields.get("time_zone", ""),
            language=fields.get("language", ""),
            attributes=_attributes(fields.get("attributes", {})),
            consents=tuple(
                Consent(category, channel, ConsentStatus(status), _time(milliseconds))
                for category, channel, status, milliseconds in fields.get("consents", ())
            ),
            update_time=_time(fields.get("update_time", 0)),
        )
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidInputError("record", "is not a customer as Redis holds one") from error


def _attributes(stored: Mapping[str, Any]) -> dict[str, AttributeValue]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}


def _milliseconds(time: datetime) -> int:
    return (time.astimezone(UTC) - NEVER) // _MILLISECOND


def _time(milliseconds: int) -> datetime:
    return NEVER + milliseconds * _MILLISECOND
