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


def resting(**hours: Any) -> catalog_pb2.Placement:  # noqa: ANN401 - whatever the message takes
    return catalog_pb2.Placement(placement="push", quiet_hours=catalog_pb2.QuietHours(**hours))


def policy(**fields: Any) -> catalog_pb2.Placement:  # noqa: ANN401 - whatever the message takes
    return catalog_pb2.Placement(placement="home-top", policy=catalog_pb2.Policy(**fields))


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
        (offers_from, [offer(item_filter={"categories": [""]})], "offers[0].item_filter.categories[0]"),
        (offers_from, [offer(item_filter={"labels": ["A"]})], "offers[0].item_filter.labels[0]"),
        (
            offers_from,
            [offer(item_filter={"minimal_price": EUROS, "maximal_price": {"minor_units": 9, "currency_code": "EUR"}})],
            "offers[0].item_filter.maximal_price",
        ),
        (
            offers_from,
            [offer(item_filter={"minimal_price": EUROS, "maximal_price": {"currency_code": "USD"}})],
            "offers[0].item_filter.maximal_price",
        ),
        (offers_from, [offer(representations=[{"language": "Deutsch!"}])], "offers[0].representations[0].language"),
        (offers_from, [offer(representations=[{"title": "t" * 513}])], "offers[0].representations[0].title"),
        (offers_from, [offer(representations=[{"text": "t" * 4097}])], "offers[0].representations[0].text"),
        (offers_from, [offer(representations=[{"link_uri": "\n"}])], "offers[0].representations[0].link_uri"),
        (offers_from, [offer(representations=[{"channels": ["A"]}])], "offers[0].representations[0].channels[0]"),
        (
            offers_from,
            [offer(representations=[{"content": {"a": "x" * 16_384}}])],
            "offers[0].representations[0].content",
        ),
        (
            offers_from,
            [offer(representations=[{"content": {"a": float("nan")}}])],
            "offers[0].representations[0].content",
        ),
        (offers_from, [offer(weekly_hours=[{"weekdays": [0]}])], "offers[0].weekly_hours[0].weekdays[0]"),
        (offers_from, [offer(weekly_hours=[{"weekdays": [1, 1]}])], "offers[0].weekly_hours[0].weekdays[1]"),
        (offers_from, [offer(weekly_hours=[{"start_minute": 1440}])], "offers[0].weekly_hours[0].start_minute"),
        (
            offers_from,
            [offer(weekly_hours=[{"start_minute": 60, "end_minute": 60}])],
            "offers[0].weekly_hours[0].end_minute",
        ),
        (offers_from, [offer(weekly_hours=[{"end_minute": 1441}])], "offers[0].weekly_hours[0].end_minute"),
        (offers_from, [offer(value={"minor_units": 1})], "offers[0].value.currency_code"),
        (offers_from, [offer(cooldown={"duration": {"seconds": 1}})], "offers[0].cooldown.event_type"),
        (offers_from, [offer(cooldown={"event_type": "redeem"})], "offers[0].cooldown.duration"),
        (
            offers_from,
            [offer(cooldown={"event_type": "redeem", "duration": {"seconds": 1, "nanos": 5}})],
            "offers[0].cooldown.duration",
        ),
        (offers_from, [offer(budget={})], "offers[0].budget.units"),
        (offers_from, [offer(budget={"units": 1, "reservation": {"seconds": -1}})], "offers[0].budget.reservation"),
        (offers_from, [offer(fallback=True, budget={"units": 1})], "offers[0].budget"),
        (offers_from, [offer(caps=[{}])], "offers[0].caps[0].maximal_count"),
        (offers_from, [offer(caps=[{"maximal_count": 1}] * 17)], "offers[0].caps"),
        (offers_from, [offer(caps=[{"maximal_count": 1, "scope": 3}])], "offers[0].caps[0].scope"),
        (offers_from, [offer(caps=[{"maximal_count": 1, "event": 5}])], "offers[0].caps[0].event"),
        (offers_from, [offer(caps=[{"maximal_count": 1, "period": 6}])], "offers[0].caps[0].period"),
        (offers_from, [offer(caps=[{"maximal_count": 1, "placement": "A"}])], "offers[0].caps[0].placement"),
        (offers_from, [offer(caps=[{"maximal_count": 1, "channel": "a_b"}])], "offers[0].caps[0].channel"),
        (offers_from, [offer(fallback=True, caps=[{"maximal_count": 1}])], "offers[0].caps"),
        (offers_from, [offer(eligibility="item.colour == 'red'")], "offers[0].eligibility"),
        (offers_from, [offer(fallback=True, eligibility="true")], "offers[0].eligibility"),
        (offers_from, [offer(consent_category="A")], "offers[0].consent_category"),
        (offers_from, [offer(fallback=True, audience_ids=["a"])], "offers[0].audience_ids"),
        (offers_from, [offer(fallback=True, consent_category="a")], "offers[0].consent_category"),
        (placements_from, [policy(score_mode=9)], "placements[0].policy.score_mode"),
        (placements_from, [policy(ignored_factors=[0])], "placements[0].policy.ignored_factors[0]"),
        (placements_from, [policy(ignored_factors=[1, 1])], "placements[0].policy.ignored_factors[1]"),
        (placements_from, [policy(default_value=-1)], "placements[0].policy.default_value"),
        (placements_from, [policy(levers=[{"label": ""}])], "placements[0].policy.levers[0].label"),
        (
            placements_from,
            [policy(levers=[{"label": "a", "percent": -101}])],
            "placements[0].policy.levers[0].percent",
        ),
        (
            placements_from,
            [policy(context_weights=[{"channel": "A"}])],
            "placements[0].policy.context_weights[0].channel",
        ),
        (placements_from, [policy(maximal_per_category=101)], "placements[0].policy.maximal_per_category"),
        (placements_from, [policy(diversity_percent=101)], "placements[0].policy.diversity_percent"),
        (placements_from, [policy(promotion={"label": "a"})], "placements[0].policy.promotion.percent"),
        (placements_from, [policy(pins=[{"offer_id": "o"}])], "placements[0].policy.pins[0].rank"),
        (
            placements_from,
            [policy(pins=[{"offer_id": "o", "rank": 1}, {"offer_id": "p", "rank": 1}])],
            "placements[0].policy.pins[1].rank",
        ),
        (placements_from, [resting(start_minute=1440)], "placements[0].quiet_hours.start_minute"),
        (placements_from, [resting(end_minute=-1)], "placements[0].quiet_hours.end_minute"),
        (placements_from, [resting(channels=["push", "push"])], "placements[0].quiet_hours.channels[1]"),
        (placements_from, [policy(exploration={})], "placements[0].policy.exploration.percent"),
        (placements_from, [policy(rotation={})], "placements[0].policy.rotation.percent"),
        (
            placements_from,
            [policy(rotation={"percent": 1, "duration": {"seconds": 0}})],
            "placements[0].policy.rotation.duration",
        ),
        (placements_from, [policy(fallback_offer_ids=["a", "a"])], "placements[0].policy.fallback_offer_ids[1]"),
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


def test_terms_come_back_as_they_went_in() -> None:
    given = offer(
        item_ids=[],
        item_filter={"categories": ["bread"], "labels": ["new"], "minimal_price": EUROS, "maximal_price": EUROS},
        representations=[
            {
                "placements": ["home-top"], "channels": ["web"], "language": "pt-BR", "title": "t", "text": "a\nb",
                "image_uri": "https://shop.example/a.png", "link_uri": "shop://a", "content": {"a": [1, {"b": None}]},
            }
        ],
        weekly_hours=[{"weekdays": [1, 7], "start_minute": 1380, "end_minute": 1500}],
        value=EUROS,
        cooldown={"event_type": "redeem", "duration": {"seconds": 60}},
        consent_category="health",
        budget={"units": 5, "reservation": {"seconds": 60}},
        caps=[{"maximal_count": 3, "scope": 2, "event": 1, "period": 5, "placement": "home-top", "channel": "web"}],
        eligibility="customer.text.tier == 'gold' && item.price < 5000",
        status=catalog_pb2.OFFER_STATUS_LIVE,
        etag="abc",
    )  # fmt: skip
    assert offer_message(offers_from([given])[0]) == given
    fallback = offer(item_ids=[], fallback=True, status=catalog_pb2.OFFER_STATUS_LIVE)
    assert offer_message(offers_from([fallback])[0]) == fallback


def test_a_policy_comes_back_as_it_went_in() -> None:
    given = policy(
        score_mode=catalog_pb2.SCORE_MODE_ARBITRATED,
        ignored_factors=[catalog_pb2.FACTOR_CONTEXT],
        default_value=50,
        levers=[{"label": "push", "percent": -20}],
        context_weights=[
            {"channel": "web", "segment": "young", "context_category": "Wine", "label": "new", "percent": 5}
        ],
        maximal_per_category=2,
        diversity_percent=30,
        promotion={"label": "push", "percent": 25},
        pins=[{"rank": 2, "offer_id": "o"}],
        rotation={"percent": 10, "duration": {"seconds": 3600}},
        fallback_offer_ids=["a", "b"],
    )
    assert placement_message(placements_from([given])[0]).policy == given.policy


def test_a_policy_that_says_nothing_is_the_plain_one_and_not_written() -> None:
    (placement,) = placements_from([policy()])
    assert placement.policy.is_plain
    assert not placement_message(placement).HasField("policy")


@pytest.mark.parametrize("hours", [{}, {"start_minute": 1320, "end_minute": 420, "channels": ["push", "sms"]}], ids=str)
def test_quiet_hours_come_back_as_they_went_in_and_their_default_is_not_written(hours: dict[str, Any]) -> None:
    given = resting(**hours)
    assert placement_message(placements_from([given])[0]).quiet_hours == given.quiet_hours
    unsaid = placement_message(placements_from([catalog_pb2.Placement(placement="push")])[0])
    assert not unsaid.HasField("quiet_hours")


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
