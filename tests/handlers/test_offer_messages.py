from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dangol.v1 import offer_service_pb2
from models.catalog import Catalog
from models.offers import AmountOff, Item, Money, NewPrice, Offer, ShareOff
from service.decision.pairing import Pairing
from service.decision.query import Query
from service.decision.reasons import Reason, ReasonCode
from service.decision.slate import Choice
from service.handlers.offer_messages import OfferMessages
from service.handlers.wire import embedded, embedded_tag, number_tag, varint

QUERY = Query(slates=(), now=0.0)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
IDS = st.sampled_from([f"id-{number}" for number in range(5)])
MONEY = st.builds(Money, st.integers(0, 2**40), st.just("EUR"))
ITEMS = st.dictionaries(IDS, st.builds(Item, IDS, title=TEXT, price=st.none() | MONEY), max_size=5)
DISCOUNTS = (
    st.none() | st.builds(ShareOff, st.integers(1, 10_000)) | st.builds(AmountOff, MONEY) | st.builds(NewPrice, MONEY)
)
END_TIMES = st.none() | st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
OFFERS = st.builds(Offer, IDS, st.just(()), title=TEXT, discount=DISCOUNTS, end_time=END_TIMES)
REASONS = st.builds(Reason, st.sampled_from(ReasonCode), st.lists(TEXT, max_size=3).map(tuple))
SCORES = st.floats(width=32, allow_nan=False, allow_infinity=False)


def _pairing(item_id: str, offer: Offer | None) -> Pairing:
    return Pairing(item_id, None, offer, offer.offer_id if offer is not None else "", None, is_conditional=False)


def _choice(item_id: str, offer: Offer | None, score: float, reasons: tuple[Reason, ...]) -> Choice:
    return Choice(_pairing(item_id, offer), score, reasons)


CHOICES = st.lists(
    st.builds(_choice, IDS, st.none() | OFFERS, SCORES, st.lists(REASONS, max_size=3).map(tuple)),
    max_size=100,
    unique_by=lambda choice: choice.item_id,
)


@given(ITEMS, CHOICES, TEXT)
def test_a_slate_joined_from_bytes_is_the_slate_that_protobuf_writes(
    items: dict[str, Item], choices: list[Choice], placement: str
) -> None:
    catalog = Catalog(version=1, items=items, offers={}, placements={}, audiences={})
    written = OfferMessages().build(placement, choices, catalog, QUERY)
    messages = OfferMessages()
    for _ in ("made for the first time", "kept from then"):
        places = [(choice.pairing, choice.score, choice.reasons) for choice in choices]
        joined = messages.encode(placement, places, catalog, QUERY)
        assert offer_service_pb2.Slate.FromString(joined) == written


def test_a_changed_catalogue_changes_what_is_written() -> None:
    messages = OfferMessages()
    for title in ("Old", "New"):
        catalog = Catalog(version=1, items={"a": Item("a", title)}, offers={}, placements={}, audiences={})
        encoded = messages.encode("default", [(Pairing.alone("a", None), 1.0, ())], catalog, QUERY)
        assert offer_service_pb2.Slate.FromString(encoded).offers[0].title == title


@given(st.integers(1, 2**31 - 1), TEXT)
def test_fields_written_by_hand_are_read_by_protobuf(rank: int, title: str) -> None:
    descriptor = offer_service_pb2.RankedOffer.DESCRIPTOR
    encoded = number_tag(descriptor, "rank") + varint(rank)
    encoded += embedded(embedded_tag(descriptor, "title"), title.encode())
    assert offer_service_pb2.RankedOffer.FromString(encoded) == offer_service_pb2.RankedOffer(rank=rank, title=title)
