"""What a shop told of its customers as a JSON Lines file, which training reads and an emptied Redis is filled from.

It begins with ``{"format": 1, "kind": "customers"}``. Each further line is ``{"kind": "record", "customer_id",
"record"}`` or ``{"kind": "link", "customer_id", "alias_id"}``.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from models.customers import CustomerRecord
from models.errors import InvalidInputError
from models.identities import Link, groups_of
from service.store import customer_record_codec, functions, keys
from service.store.candidate_codec import digest_of
from service.store.clients import Argument
from service.store.connection import SyncConnection
from service.store.customer_record_codec import SEPARATOR, encode_header, encode_names
from service.store.customer_store import store_calls
from service.store.erasure_store import read_erasures
from service.store.exports import FORMAT, opened, replacing
from service.store.faults import reaching_redis
from service.store.functions import FunctionCall, call_all_blocking
from service.store.keys import MetaKeys
from service.store.scan import scan

KIND = "customers"
BATCH = 1_000
"""Customers that are read and stored at a time."""


def write_customers(path: Path, connection: SyncConnection, tenant: str) -> int:
    """Write all records and links of a shop, and give the number of lines that say something."""
    count = 0
    with replacing(path) as file:
        file.write(json.dumps({"format": FORMAT, "kind": KIND}).encode() + b"\n")
        for line in (*_link_lines(connection, tenant), *_record_lines(connection, tenant)):
            file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def read_links(path: Path) -> list[Link]:
    """Give the links of a file. InvalidInputError names the file and line that cannot be used."""
    return [
        (_text(path, number, line, "customer_id"), _text(path, number, line, "alias_id"))
        for number, line in _lines(path)
        if line.get("kind") == "link"
    ]


def links_in(connection: SyncConnection, tenant: str) -> list[Link]:
    """Give the links of a shop as Redis holds them."""
    return [(line["customer_id"], line["alias_id"]) for line in _link_lines(connection, tenant)]


def restore_customers(path: Path, connection: SyncConnection, tenant: str) -> int:
    """Store what a file holds but for erased customers, and count it. InvalidInputError names the file and line."""
    count = 0
    records = (_record_of(path, number, line) for number, line in _lines(path) if line.get("kind") == "record")
    with reaching_redis():
        connection.client.execute_command("SETNX", MetaKeys(tenant).customers, "1")
        while batch := list(islice(records, BATCH)):
            call_all_blocking(connection, store_calls(tenant, batch))
            count += len(batch)
    erased = {one.digest for erasure in read_erasures(connection, tenant) for one in erasure.ids}
    links = [link for link in read_links(path) if not any(digest_of(name).hex() in erased for name in link)]
    _restore_links(connection, tenant, links)
    return count + len(links)


def _restore_links(connection: SyncConnection, tenant: str, links: Iterable[Link]) -> None:
    """Put links back; what else there is of the same ids is replaced."""
    linked: dict[str, set[str]] = {}
    for one, other in links:
        linked.setdefault(one, set()).add(other)
        linked.setdefault(other, set()).add(one)
    meta = MetaKeys(tenant)
    with reaching_redis():
        for name, others in linked.items():
            connection.client.execute_command("HSET", meta.links, name, SEPARATOR.join(sorted(others)))
        version = int(connection.client.execute_command("INCR", meta.links_version))
        for names in groups_of(links):
            call_all_blocking(connection, [_name_call(tenant, name, version, names) for name in names])


def _name_call(tenant: str, name: str, version: int, names: tuple[str, ...]) -> FunctionCall:
    places = keys.record_key(tenant, name), keys.erased_key(tenant, keys.shard_of(name))
    arguments: tuple[Argument, ...] = (encode_header(name), version, encode_names(names))
    return FunctionCall(functions.NAME_CUSTOMER, places, arguments)


def _link_lines(connection: SyncConnection, tenant: str) -> Iterator[dict[str, Any]]:
    cursor = 0
    while True:
        with reaching_redis():
            cursor, page = connection.client.execute_command("HSCAN", MetaKeys(tenant).links, cursor, "COUNT", BATCH)
        for name, others in page.items():
            for other in others.decode().split(SEPARATOR):
                if name.decode() < other:
                    yield {"kind": "link", "customer_id": name.decode(), "alias_id": other}
        if cursor == 0:
            return


def _record_lines(connection: SyncConnection, tenant: str) -> Iterator[dict[str, Any]]:
    with reaching_redis():
        for names in scan(connection, f"{tenant}:{{*}}:r:*"):
            for name in names:
                customer_id = name.decode().partition("}:r:")[2]
                value = connection.client.execute_command("GET", name) if customer_id else None
                stored = customer_record_codec.decode(customer_id, value) if value is not None else None
                if stored is not None and stored.record is not None:
                    record = json.loads(customer_record_codec.encode_record(stored.record))
                    yield {"kind": "record", "customer_id": customer_id, "record": record}


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with opened(path) as file:
        for number, content in enumerate(file, start=1):
            try:
                line = json.loads(content)
            except ValueError:
                line = None
            if not isinstance(line, dict) or (number == 1 and line != {"format": FORMAT, "kind": KIND}):
                raise InvalidInputError(
                    f"{path}, line {number}", "is not of a file that `dangol customers export` wrote"
                )
            if number > 1:
                yield number, line


def _record_of(path: Path, number: int, line: dict[str, Any]) -> CustomerRecord:
    customer_id = _text(path, number, line, "customer_id")
    return customer_record_codec.decode_record(customer_id, json.dumps(line.get("record")).encode())


def _text(path: Path, number: int, line: dict[str, Any], field: str) -> str:
    value = line.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"{path}, line {number}", f"names no {field}")
    return value
