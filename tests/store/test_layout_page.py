"""docs/redis-layout.md names every key."""

import re
from pathlib import Path

from service.store import keys
from service.store.candidate_codec import HEADER_SIZE
from service.store.catalog_codec import KINDS
from service.store.counter_codec import RECORD as COUNTER
from service.store.profile_codec import HEADER, RECORD

PAGE = (Path(__file__).parents[2] / "docs" / "redis-layout.md").read_text(encoding="utf-8")


def test_the_page_names_every_key() -> None:
    meta = keys.MetaKeys("local")
    names = [
        keys.candidates_key("local", 5, "x"),
        keys.profile_key("local", "x"),
        keys.record_key("local", "x"),
        keys.counters_key("local", "x"),
        keys.totals_key("local", 7, "x"),
        keys.erased_key("local", 7),
        keys.log_key("local", 7),
        keys.due_key("local", 7),
        keys.pushes_key("local", 7),
        keys.marks_key("local", "x"),
        keys.seen_key("local", 7, "x"),
        meta.layout,
        meta.pointer,
        meta.generations,
        meta.last_generation,
        meta.customers,
        meta.missed,
        meta.pushing,
        meta.erasures,
        meta.links,
        meta.links_version,
        meta.model_part(5, 0),
        keys.dead_key("local", 7),
        keys.refresh_keys("local", 5, "x")[2],
        meta.fold_part(5, 0),
        meta.refolding(5),
        meta.archive,
        meta.archiving,
        meta.reservations("x"),
        meta.redemptions("x"),
        meta.catalog_version,
        meta.catalog_changes,
        meta.catalog_changes_bytes,
        meta.catalog_records(KINDS[0]),
    ]
    documented = {_shape(name) for name in re.findall(r"`(local:[^`]+)`", PAGE)}
    assert {_shape(name) for name in names} <= documented


def test_the_page_states_the_sizes_of_the_fixed_parts() -> None:
    assert (HEADER_SIZE, HEADER.size, RECORD.size) == (16, 16, 13)
    assert "| 16 | 4 · *e* |" in PAGE
    assert "A header of 16 bytes" in PAGE
    assert "| 13 | | the three texts" in PAGE
    assert COUNTER.size == 10
    assert "| 10 | | the name" in PAGE


def _shape(name: str) -> str:
    """Leave only the constant words of a key."""
    name = re.sub(r"\{[0-9a-f]{2}\}", "{shard}", name)
    return re.sub(r"(?<=:)(<[^>]+>|x|5|0)(?=:|$)", "*", name)
