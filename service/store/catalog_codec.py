"""The catalogue's records as JSON, and a batch of them as bytes. docs/redis-layout.md describes both."""

import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from sys import intern
from types import MappingProxyType
from typing import Any

from models.catalog import Catalog, CatalogChange
from models.errors import InvalidInputError
from models.experiments import Experiment
from models.offers import Audience, Item, Offer, Placement
from models.pace import Pace, unpaced
from models.triggers import Trigger
from service.store.event_codec import decode_money, encode_money
from service.store.experiment_codec import decode_experiment, encode_experiment
from service.store.offer_codec import decode_offer, decode_placement, encode_offer, encode_placement
from service.store.trigger_codec import decode_trigger, encode_trigger

KINDS = ("items", "offers", "placements", "audiences", "experiments", "triggers")
"""The kinds of records; a batch names one by its place here, so the order never changes."""

FRAME = struct.Struct("<BBHI")
"""Kind, 1 for stored or 0 for deleted, length of the id, length of the JSON; the id and the JSON follow."""

ETAG_LENGTH = 16

_WITHOUT_ETAG = frozenset({"items", "audiences"})
_parse = json.JSONDecoder().decode

Record = Item | Offer | Placement | Audience | Experiment | Trigger


def encode_record(record: Record) -> bytes:
    """Write a record as compact JSON; what is empty is left out."""
    fields = {name: value for name, value in _ENCODERS[type(record)](record).items() if value not in (None, "", [])}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode_record(kind: str, id_: str, content: bytes) -> Record:
    """Read a record. InvalidInputError naming kind and id when it is not one."""
    try:
        # Cheaper than json.loads, which looks for the encoding first.
        fields = _parse(content.decode())
        return _DECODERS[kind](id_, fields, "" if kind in _WITHOUT_ETAG else etag_of(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"{kind}/{id_}", "is not a record of that kind") from error


def etag_of(content: bytes) -> str:
    """Name the state that a stored record is in; functions.lua does the same to compare."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()[:ETAG_LENGTH]


def id_of(record: Record) -> str:
    """Give the id of a record."""
    match record:
        case Item():
            return record.item_id
        case Offer():
            return record.offer_id
        case Placement():
            return record.placement
        case Audience():
            return record.audience_id
        case Experiment():
            return record.experiment_id
        case Trigger():
            return record.trigger


def encode_change(change: CatalogChange) -> bytes:
    """Write a batch: the deletions, then what is stored."""
    return b"".join(
        _frame(number, id_, b"", stored=False) for number, ids in enumerate(_deleted(change)) for id_ in ids
    ) + b"".join(
        _frame(number, id_of(record), encode_record(record), stored=True)
        for number, records in enumerate(_stored(change))
        for record in records
    )


def decode_change(batch: bytes, version: int, pace: Pace = unpaced) -> CatalogChange:
    """Read a batch. InvalidInputError when it is not one."""
    stored: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    deleted: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for kind, id_, content in _frames(batch):
        if content is None:
            deleted[kind].append(id_)
        else:
            stored[kind].append(decode_record(kind, id_, content))
            pace()
    return CatalogChange(
        items=tuple(stored["items"]),
        offers=tuple(stored["offers"]),
        placements=tuple(stored["placements"]),
        audiences=tuple(stored["audiences"]),
        experiments=tuple(stored["experiments"]),
        triggers=tuple(stored["triggers"]),
        deleted_item_ids=tuple(deleted["items"]),
        deleted_offer_ids=tuple(deleted["offers"]),
        deleted_placements=tuple(deleted["placements"]),
        deleted_audience_ids=tuple(deleted["audiences"]),
        deleted_experiment_ids=tuple(deleted["experiments"]),
        deleted_triggers=tuple(deleted["triggers"]),
        version=version,
    )


def assemble(records: Iterable[Record], version: int) -> Catalog:
    """Make a catalogue of records, of which a later one replaces an earlier one with the same id."""
    by_kind: dict[type, dict[str, Any]] = {kind: {} for kind in _ENCODERS}
    for record in records:
        by_kind[type(record)][id_of(record)] = record
    return Catalog(
        version,
        items=by_kind[Item],
        offers=by_kind[Offer],
        placements=by_kind[Placement],
        audiences=by_kind[Audience],
        experiments=by_kind[Experiment],
        triggers=by_kind[Trigger],
    )


def records_of(catalog: Catalog) -> Iterator[tuple[str, Record]]:
    """Give every record of a catalogue with its kind, ordered by kind and id."""
    for kind, records in zip(KINDS, _stored(catalog.as_change()), strict=True):
        for record in records:
            yield kind, record


def _stored(change: CatalogChange) -> tuple[tuple[Record, ...], ...]:
    return change.items, change.offers, change.placements, change.audiences, change.experiments, change.triggers


def _deleted(change: CatalogChange) -> tuple[tuple[str, ...], ...]:
    return (
        change.deleted_item_ids,
        change.deleted_offer_ids,
        change.deleted_placements,
        change.deleted_audience_ids,
        change.deleted_experiment_ids,
        change.deleted_triggers,
    )


def _frame(kind: int, id_: str, content: bytes, *, stored: bool) -> bytes:
    encoded = id_.encode()
    return FRAME.pack(kind, stored, len(encoded), len(content)) + encoded + content


def _frames(batch: bytes) -> Iterator[tuple[str, str, bytes | None]]:
    position = 0
    try:
        while position < len(batch):
            kind, stored, id_size, size = FRAME.unpack_from(batch, position)
            start = position + FRAME.size
            middle, position = start + id_size, start + id_size + size
            if position > len(batch):
                raise InvalidInputError("catalog batch", "ends too early")
            yield KINDS[kind], batch[start:middle].decode(), batch[middle:position] if stored else None
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise InvalidInputError("catalog batch", "cannot be read") from error


def _encode_item(item: Item) -> dict[str, Any]:
    return {
        "title": item.title,
        "category": item.category,
        "price": None if item.price is None else encode_money(item.price),
        "labels": list(item.labels),
    }


def _decode_item(id_: str, fields: dict[str, Any]) -> Item:
    price = fields.get("price")
    return Item(
        item_id=id_,
        title=fields.get("title", ""),
        category=intern(fields.get("category", "")),
        price=None if price is None else decode_money(price),
        labels=tuple(map(intern, fields.get("labels", ()))),
    )


def _encode_audience(audience: Audience) -> dict[str, Any]:
    return {"customer_ids": sorted(audience.customer_ids)}


def _decode_audience(id_: str, fields: dict[str, Any]) -> Audience:
    return Audience(id_, frozenset(fields.get("customer_ids", ())))


_ENCODERS: Mapping[type, Callable[[Any], dict[str, Any]]] = MappingProxyType(
    {
        Item: _encode_item,
        Offer: encode_offer,
        Placement: encode_placement,
        Audience: _encode_audience,
        Experiment: encode_experiment,
        Trigger: encode_trigger,
    }
)
_DECODERS: Mapping[str, Callable[[str, dict[str, Any], str], Record]] = MappingProxyType(
    {
        "items": lambda id_, fields, _etag: _decode_item(id_, fields),
        "offers": decode_offer,
        "placements": decode_placement,
        "audiences": lambda id_, fields, _etag: _decode_audience(id_, fields),
        "experiments": decode_experiment,
        "triggers": decode_trigger,
    }
)
