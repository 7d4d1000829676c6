from collections import Counter
from dataclasses import replace
from datetime import timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, strategies

from models.candidates import CANDIDATE, CandidateTable
from models.catalog import Catalog, CatalogChange
from models.errors import InvalidInputError
from models.events import Event
from models.profile import EMPTY_PROFILE, MAXIMAL_PROFILE_EVENTS, ProfileEvent
from service.store import candidate_codec, keys, profile_codec
from service.store.candidate_codec import digest_of
from service.store.catalog_codec import (
    Record,
    assemble,
    decode_change,
    decode_record,
    encode_change,
    encode_record,
    id_of,
)
from service.store.event_codec import decode_event, encode_event
from tests.store import samples


@given(
    customer_ids=strategies.lists(samples.identifiers, min_size=1, max_size=5, unique=True),
    width=strategies.integers(0, 100),
    evidence_width=strategies.integers(0, 16),
    seed=strategies.integers(0, 1_000),
)
def test_a_list_comes_back_as_it_went_in(customer_ids: list[str], width: int, evidence_width: int, seed: int) -> None:
    table = samples.random_table(customer_ids, width, evidence_width, seed)
    for index, value in enumerate(candidate_codec.encode_table(table)):
        expected = table.list_at(index)
        found = candidate_codec.decode(value, digest_of(customer_ids[index]))
        assert found is not None
        assert found.candidates.tobytes() == expected.candidates.tobytes()
        np.testing.assert_array_equal(found.evidence_rows, expected.evidence_rows)


def test_the_longest_list_fits_the_allocation_that_the_memory_bound_rests_on() -> None:
    table = samples.random_table(["ada"], 100, 16)
    full = CandidateTable(
        table.customer_ids,
        np.zeros((1, 100), CANDIDATE),
        np.array([100], np.uint16),
        table.evidence_rows,
        np.array([16], np.uint8),
    )
    assert [len(value) for value in candidate_codec.encode_table(full)] == [880]


def test_more_customers_than_one_block_keep_their_order() -> None:
    customer_ids = [f"customer-{number}" for number in range(2 * candidate_codec._BLOCK + 7)]
    values = list(candidate_codec.encode_table(samples.random_table(customer_ids)))
    assert [value[8:16] for value in values] == [digest_of(customer_id) for customer_id in customer_ids]


@given(value=strategies.binary(max_size=60))
def test_bytes_that_are_no_list_are_no_list(value: bytes) -> None:
    assert candidate_codec.decode(value, digest_of("ada")) is None


def test_the_list_of_another_customer_is_no_list() -> None:
    (value,) = candidate_codec.encode_table(samples.random_table(["ada"]))
    assert candidate_codec.decode(value, digest_of("bob")) is None


@given(cut=strategies.integers(0, 40))
def test_a_list_cut_short_is_no_list(cut: int) -> None:
    table = samples.random_table(["ada"], width=5, seed=5)
    (value,) = candidate_codec.encode_table(table)
    assert candidate_codec.decode(value[: min(cut, len(value) - 1)], digest_of("ada")) is None


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused_before_anything_is_encoded(score: float) -> None:
    table = samples.random_table(["ada", "bob"])
    table.counts[1] = 1
    table.candidates["score"][1, 0] = score
    with pytest.raises(InvalidInputError, match="finite"):
        candidate_codec.encode_table(table)


@given(events=strategies.lists(samples.events, max_size=10))
def test_a_profile_gives_its_events_newest_first(events: list[Event]) -> None:
    value = profile_codec.encode_header("ada") + b"".join(map(profile_codec.encode_record, events))
    found = list(profile_codec.decode(value, digest_of("ada")).events)
    assert found == sorted(found, key=lambda event: event.event_time, reverse=True)
    assert Counter(found) == Counter(
        ProfileEvent(event.event_type, event.item_id, event.offer_id, event.event_time) for event in events
    )


@given(events=strategies.lists(samples.events, max_size=6), data=strategies.data())
def test_a_profile_is_the_same_in_whichever_order_its_events_were_recorded(
    events: list[Event], data: strategies.DataObject
) -> None:
    records = [profile_codec.encode_record(event) for event in events]
    header = profile_codec.encode_header("ada")
    found = profile_codec.decode(header + b"".join(records), digest_of("ada"))
    shuffled = data.draw(strategies.permutations(records))
    assert profile_codec.decode(header + b"".join(shuffled), digest_of("ada")) == found


def test_a_profile_gives_only_the_newest_events() -> None:
    events = [samples.event(number) for number in range(MAXIMAL_PROFILE_EVENTS + 9)]
    value = profile_codec.encode_header("ada") + b"".join(map(profile_codec.encode_record, events))
    found = profile_codec.decode(value, digest_of("ada")).events
    assert [event.item_id for event in found] == [event.item_id for event in reversed(events[9:])]


@given(tail=strategies.binary(min_size=1, max_size=40))
def test_a_damaged_profile_is_an_empty_one(tail: bytes) -> None:
    events = profile_codec.decode(profile_codec.encode_header("ada") + b"\xff\xff" + tail, digest_of("ada")).events
    assert list(events) == []


def test_the_profile_of_another_customer_is_an_empty_one() -> None:
    value = profile_codec.encode_header("ada") + profile_codec.encode_record(samples.event(1))
    assert profile_codec.decode(value, digest_of("bob")) is EMPTY_PROFILE


@given(event=samples.events)
def test_an_event_comes_back_as_it_went_in(event: Event) -> None:
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize("content", [b"", b"1", b"[]", b"{}", b'{"event_time":"2026-01-01T00:00:00"}', b"\xff"])
def test_what_is_no_event_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInputError):
        decode_event(content)


@given(record=samples.items | samples.offers | samples.placements | samples.audiences)
def test_a_record_of_the_catalogue_comes_back_as_it_went_in(record: Record) -> None:
    kind = {"Item": "items", "Offer": "offers", "Placement": "placements", "Audience": "audiences"}
    assert decode_record(kind[type(record).__name__], id_of(record), encode_record(record)) == record


@given(change=samples.changes)
def test_a_batch_comes_back_as_it_went_in(change: CatalogChange) -> None:
    assert decode_change(encode_change(change), 0) == change


@given(change=samples.changes, cut=strategies.integers(1, 7))
def test_a_batch_cut_short_is_refused(change: CatalogChange, cut: int) -> None:
    batch = encode_change(change)
    if batch:
        with pytest.raises(InvalidInputError):
            decode_change(batch[:-cut], 0)


@given(before=samples.changes, change=samples.changes)
def test_applying_a_change_is_deleting_and_then_storing(before: CatalogChange, change: CatalogChange) -> None:
    catalog = assemble([*before.items, *before.offers], 1)
    after = catalog.apply(change)
    kept = [item for item in before.items if item.item_id not in change.deleted_item_ids]
    assert dict(after.items) == dict(assemble([*kept, *change.items], 0).items)
    assert dict(catalog.items) == dict(assemble(before.items, 0).items)


@given(before=samples.changes, changes=strategies.lists(samples.changes, max_size=3))
def test_applying_changes_at_once_is_applying_one_after_the_other(
    before: CatalogChange, changes: list[CatalogChange]
) -> None:
    catalog = stepwise = Catalog().apply(before)
    for change in changes:
        stepwise = stepwise.apply(change)
    assert catalog.apply(*changes) == stepwise


def test_a_shard_never_moves() -> None:
    assert [keys.shard_of(id_) for id_ in ("ada", "bob", "eve", "단골")] == [8, 0, 14, 12]


@given(event=samples.events, hours=strategies.integers(-12, 12))
def test_the_zone_of_an_event_time_does_not_matter(event: Event, hours: int) -> None:
    shifted = replace(event, event_time=event.event_time.astimezone(timezone(timedelta(hours=hours))))
    assert decode_event(encode_event(shifted)) == event
