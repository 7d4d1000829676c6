from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from dangol.v1 import catalog_pb2, event_pb2
from models.errors import InvalidInputError
from models.events import EVENT_TYPES
from models.offers import AmountOff, Money, OfferStatus, Rebuys
from service.handlers.catalog_messages import (
    audience_message,
    audiences_from,
    item_message,
    items_from,
    offer_message,
    offers_from,
    placement_message,
    placements_from,
)
from service.handlers.event_messages import events_from
from service.handlers.validation import kebab_problem, optional_id_problem, size_of_page

NOW = datetime(2025, 7, 15, tzinfo=UTC)


def event(**fields: Any) -> event_pb2.Event:  # noqa: ANN401 - whatever the message takes
    message = event_pb2.Event(event_id="e", customer_id="c", event_type="purchase", item_id="i")
    message.event_time.FromDatetime(fields.pop("event_time", NOW))
    message.MergeFrom(event_pb2.Event(**fields))
    return message


def read(*messages: event_pb2.Event) -> object:
    return events_from(messages, frozenset(EVENT_TYPES), NOW)


def no_time() -> event_pb2.Event:
    message = event()
    message.ClearField("event_time")
    return message


def odd_time(seconds: int, nanos: int = 0) -> event_pb2.Event:
    message = event()
    message.event_time.seconds, message.event_time.nanos = seconds, nanos
    return message


def without(field: str) -> event_pb2.Event:
    message: Any = event()
    message.ClearField(field)
    return cast("event_pb2.Event", message)


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (without("event_id"), "event_id"),
        (event(event_id="x" * 129), "event_id"),
        (event(event_id="é" * 65), "event_id"),
        (event(event_id="a\x00b"), "event_id"),
        (event(event_id="a\x7f"), "event_id"),
        (without("customer_id"), "customer_id"),
        (event(customer_id="tab\there"), "customer_id"),
        (without("event_type"), "event_type"),
        (event(event_type="Purchase"), "event_type"),
        (event(event_type="unheard-of"), "event_type"),
        (without("item_id"), "item_id"),
        (event(item_id="x" * 129), "item_id"),
        (event(offer_id="\x85"), "offer_id"),
        (no_time(), "event_time"),
        (event(event_time=NOW + timedelta(hours=25)), "event_time"),
        (event(event_time=datetime(1989, 12, 31, tzinfo=UTC)), "event_time"),
        (odd_time(10**15), "event_time"),
        (odd_time(-(10**15)), "event_time"),
        (odd_time(1_700_000_000, -1), "event_time"),
        (event(quantity=float("nan")), "quantity"),
        (event(quantity=float("inf")), "quantity"),
        (event(quantity=-1), "quantity"),
        (event(quantity=1_000_001), "quantity"),
        (event(rating=5.1), "rating"),
        (event(rating=float("nan")), "rating"),
        (event(value=catalog_pb2.Money(minor_units=5)), "value.currency_code"),
        (event(value=catalog_pb2.Money(minor_units=5, currency_code="eur")), "value.currency_code"),
        (event(value=catalog_pb2.Money(minor_units=-5, currency_code="EUR")), "value.minor_units"),
        (event(channel="Web"), "channel"),
        (event(query="x" * 513), "query"),
        (event(request_id="\n"), "request_id"),
    ],
)
def test_a_bad_event_is_refused_and_its_field_named(bad: event_pb2.Event, field: str) -> None:
    good = event(event_id="good")
    with pytest.raises(InvalidInputError) as caught:
        read(good, bad)
    assert caught.value.field == f"events[1].{field}"


def test_a_batch_of_events_is_neither_empty_nor_too_long_nor_has_an_id_twice() -> None:
    with pytest.raises(InvalidInputError, match=r"^events: holds 0"):
        read()
    with pytest.raises(InvalidInputError, match=r"^events: holds 1001"):
        read(*[event()] * 1001)
    with pytest.raises(InvalidInputError, match=r"^events\[2\].event_id: .*twice"):
        read(event(), event(event_id="other"), event())


def test_a_search_needs_no_item_when_it_has_a_query() -> None:
    search = event_pb2.Event(event_id="e", customer_id="c", event_type="search", query="red wine")
    search.event_time.FromDatetime(NOW)
    (found,) = events_from([search], frozenset(EVENT_TYPES), NOW)
    assert found.query == "red wine"


def test_a_quantity_of_zero_means_one() -> None:
    (found,) = events_from([event()], frozenset(EVENT_TYPES), NOW)
    assert found.quantity == 1.0
    assert found.event_time == NOW


def offer(**fields: Any) -> catalog_pb2.Offer:  # noqa: ANN401 - whatever the message takes
    return catalog_pb2.Offer(**({"offer_id": "o", "item_ids": ["i"]} | fields))


EUROS = catalog_pb2.Money(minor_units=150, currency_code="EUR")


@pytest.mark.parametrize(
    ("reader", "messages", "field"),
    [
        (items_from, [], "items"),
        (items_from, [catalog_pb2.Item()], "items[0].item_id"),
        (items_from, [catalog_pb2.Item(item_id="i", title="t" * 513)], "items[0].title"),
        (items_from, [catalog_pb2.Item(item_id="i", category="\x01")], "items[0].category"),
        (items_from, [catalog_pb2.Item(item_id="i", labels=["New"])], "items[0].labels[0]"),
        (items_from, [catalog_pb2.Item(item_id="i", labels=["a"] * 33)], "items[0].labels"),
        (items_from, [catalog_pb2.Item(item_id="i", price=catalog_pb2.Money())], "items[0].price.currency_code"),
        (items_from, [catalog_pb2.Item(item_id="i")] * 2, "items[1].item_id"),
        (offers_from, [offer(offer_id="")], "offers[0].offer_id"),
        (offers_from, [offer(item_ids=[])], "offers[0].item_ids"),
        (offers_from, [offer(item_ids=["a", ""])], "offers[0].item_ids[1]"),
        (offers_from, [offer(item_ids=["a", "b", "a"])], "offers[0].item_ids[2]"),
        (offers_from, [offer(discount=catalog_pb2.Discount())], "offers[0].discount"),
        (offers_from, [offer(discount={"off_basis_points": 0})], "offers[0].discount.off_basis_points"),
        (offers_from, [offer(discount={"off_basis_points": 10_001})], "offers[0].discount.off_basis_points"),
        (
            offers_from,
            [offer(discount={"off_amount": {"minor_units": 1}})],
            "offers[0].discount.off_amount.currency_code",
        ),
        (offers_from, [offer(start_time=NOW, end_time=NOW)], "offers[0].end_time"),
        (offers_from, [offer(priority=1001)], "offers[0].priority"),
        (offers_from, [offer(channels=["Web"])], "offers[0].channels[0]"),
        (offers_from, [offer(placements=["-"])], "offers[0].placements[0]"),
        (offers_from, [offer(audience_ids=["\x00"])], "offers[0].audience_ids[0]"),
        (offers_from, [offer(status=99)], "offers[0].status"),
        (placements_from, [catalog_pb2.Placement(placement="Home Top")], "placements[0].placement"),
        (placements_from, [catalog_pb2.Placement(placement="a", size=101)], "placements[0].size"),
        (placements_from, [catalog_pb2.Placement(placement="a", size=-1)], "placements[0].size"),
        (
            placements_from,
            [catalog_pb2.Placement(placement="a", rebuys=catalog_pb2.Rebuys.ValueType(9))],
            "placements[0].rebuys",
        ),
        (audiences_from, [catalog_pb2.Audience(audience_id="a", customer_ids=[""])], "audiences[0].customer_ids[0]"),
        (
            audiences_from,
            [catalog_pb2.Audience(audience_id="a", customer_ids=["x", "x"])],
            "audiences[0].customer_ids[1]",
        ),
    ],
)
def test_a_bad_record_is_refused_and_its_field_named(
    reader: Callable[[Any], object], messages: list[Any], field: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        reader(messages)
    assert caught.value.field == field


def test_records_come_back_as_they_went_in_with_their_defaults_spelled_out() -> None:
    given = offer(
        title="T", discount={"off_amount": EUROS}, start_time=NOW, end_time=NOW + timedelta(days=1),
        audience_ids=["vip"], channels=["web"], placements=["home-top"], priority=-3, labels=["new"],
    )  # fmt: skip
    (read_offer,) = offers_from([given])
    assert read_offer.discount == AmountOff(Money(150, "EUR"))
    assert read_offer.status is OfferStatus.LIVE
    given.status = catalog_pb2.OFFER_STATUS_LIVE
    assert offer_message(read_offer) == given
    item = catalog_pb2.Item(item_id="i", title="t", category="c", price=EUROS, labels=["new"])
    assert item_message(items_from([item])[0]) == item
    (placement,) = placements_from([catalog_pb2.Placement(placement="a-b")])
    assert (placement.size, placement.plain_items, placement.rebuys) == (10, True, Rebuys.LATER)
    assert placement_message(placement).plain_items == catalog_pb2.PLAIN_ITEMS_ALLOWED
    audience = catalog_pb2.Audience(audience_id="a", customer_ids=["x", "y"])
    assert audience_message(audiences_from([audience])[0]) == audience


def test_page_sizes_have_a_default_and_a_maximum_and_no_negative() -> None:
    assert size_of_page(0, 10) == 10
    assert size_of_page(2**31 - 1, 10) == 100
    with pytest.raises(InvalidInputError, match="page_size"):
        size_of_page(-1, 10)


@pytest.mark.parametrize("good", ["a", "home-top", "a1-2b", "x" * 64])
def test_kebab_case_is_taken(good: str) -> None:
    assert kebab_problem(good) is None


@pytest.mark.parametrize("bad", ["", "-a", "a-", "a--b", "A", "a_b", "ä", "a b", "x" * 65])
def test_what_is_not_kebab_case_is_refused(bad: str) -> None:
    assert kebab_problem(bad) is not None


def test_ids_may_hold_any_letters_and_spaces() -> None:
    assert optional_id_problem("단골 손님 № 7/a:b{c}") is None
