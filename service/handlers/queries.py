"""Offer requests → queries, each field checked."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dangol.v1 import offer_service_pb2
from models.errors import InvalidInputError, NotFoundError
from models.offers import MAXIMAL_PLACEMENT_SIZE, Placement
from service.decision.query import Query, SlateQuery
from service.decision.snapshot import Snapshot
from service.handlers.validation import (
    check,
    check_distinct,
    check_ids,
    check_kebabs,
    count_problem,
    id_problem,
    kebab_problem,
    language_problem,
    optional_id_problem,
    optional_kebab_problem,
    size_of_page,
    text_problem,
)

MAXIMAL_PLACEMENTS = 8
MAXIMAL_CUSTOMERS = 1000
MAXIMAL_ITEMS_TO_RANK = 1000
_MAXIMAL_CONTEXT = 50
_MAXIMAL_EXCLUDED = 1000
_MAXIMAL_TRACES = 50
_MAXIMAL_CONSENTS = 32
_MAXIMAL_ZONE_BYTES = 64
_REMEMBERED, _REMEMBERED_BYTES = 1_024, 256

_SEED = Query._fields.index("seed")
_of_fields = cast("Callable[[tuple[object, ...]], Query]", partial(tuple.__new__, Query))
"""Makes a query of all its fields, for a quarter of what :meth:`Query._replace` takes."""


class RecommendQueries:
    """Reads requests for one customer. What is asked of one page is the same but for who asks, and is read once."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._read: dict[bytes, Query] = {}

    def read(
        self, request: offer_service_pb2.RecommendOffersRequest, snapshot: Snapshot, now: float, seed: str
    ) -> Query:
        """Read a request as :func:`recommend_query` does, and take the customer's id out of it."""
        check("customer_id", id_problem(request.customer_id))
        request.ClearField("customer_id")
        if snapshot is not self._snapshot or len(self._read) >= _REMEMBERED:
            self._snapshot, self._read = snapshot, {}
        asked = request.SerializeToString()
        known = self._read.get(asked)
        if known is None:
            known = _recommend_query(request, snapshot, now, seed)
            # A time zone's clock is another one in half a year; and what is long comes once.
            if not request.time_zone and len(asked) <= _REMEMBERED_BYTES:
                self._read[asked] = known
            return known
        return _of_fields((known[0], now, *known[2:_SEED], seed, *known[_SEED + 1 :]))


def recommend_query(
    request: offer_service_pb2.RecommendOffersRequest, snapshot: Snapshot, now: float, seed: str = ""
) -> Query:
    """Read a request for one customer. InvalidInputError names the field, NotFoundError a placement."""
    check("customer_id", id_problem(request.customer_id))
    return _recommend_query(request, snapshot, now, seed)


def _recommend_query(
    request: offer_service_pb2.RecommendOffersRequest, snapshot: Snapshot, now: float, seed: str
) -> Query:
    # Every look at a repeated field makes an object: one look at each, and nothing kept of those that are empty.
    names, context, traced = request.placements, request.context_item_ids or (), request.trace_offer_ids or ()
    check("placements", count_problem(len(names), 1, MAXIMAL_PLACEMENTS))
    check_distinct("placements", names)
    if context:
        check_ids("context_item_ids", context, 0, _MAXIMAL_CONTEXT)
    if traced:
        check_ids("trace_offer_ids", traced, 0, _MAXIMAL_TRACES)
        check_distinct("trace_offer_ids", traced)
    size = request.page_size
    slates = [_slate_query(f"placements[{index}]", name, size, snapshot) for index, name in enumerate(names)]
    return _query(request, slates, now, seed, context, traced)


def batch_query(
    request: offer_service_pb2.BatchRecommendOffersRequest, snapshot: Snapshot, now: float, seed: str = ""
) -> Query:
    """Read a request for many customers. InvalidInputError names the field, NotFoundError the placement."""
    check_ids("customer_ids", request.customer_ids, 1, MAXIMAL_CUSTOMERS)
    slates = [_slate_query("placement", request.placement, request.page_size, snapshot)]
    return _query(request, slates, now, seed)


def placement_of(field: str, name: str, snapshot: Snapshot) -> Placement:
    """Find a placement. InvalidInputError names the field, NotFoundError a placement that does not exist."""
    placement = snapshot.placement(name)
    if placement is None:
        check(field, kebab_problem(name))
        raise NotFoundError(f"{field}: the placement {name} does not exist")
    return placement


def utc_offset(time_zone: str, now: float) -> int:
    """Give how many seconds the clock of an IANA time zone is ahead of UTC at ``now``.

    InvalidInputError names ``time_zone`` when there is no such zone.
    """
    offset = datetime.fromtimestamp(now, zone_of(time_zone, "time_zone")).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def zone_of(time_zone: str, field: str) -> ZoneInfo:
    """Find an IANA time zone. InvalidInputError names the field when there is no such zone."""
    check(field, text_problem(time_zone, _MAXIMAL_ZONE_BYTES))
    try:
        return ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError(field, "is not a time zone such as Europe/Berlin") from error


def items_to_rank(request: offer_service_pb2.RankItemsRequest) -> Sequence[str]:
    """Check a request to rank items and give their ids. InvalidInputError names the field."""
    check("customer_id", id_problem(request.customer_id))
    check_ids("item_ids", request.item_ids, 1, MAXIMAL_ITEMS_TO_RANK)
    check_distinct("item_ids", request.item_ids)
    check("segment", optional_id_problem(request.segment))
    return request.item_ids


def _query(
    request: offer_service_pb2.RecommendOffersRequest | offer_service_pb2.BatchRecommendOffersRequest,
    slates: Sequence[SlateQuery],
    now: float,
    seed: str,
    context_item_ids: Sequence[str] = (),
    trace_offer_ids: Sequence[str] = (),
) -> Query:
    """Read what both kinds of requests say. InvalidInputError names the field."""
    channel, segment, language, time_zone = request.channel, request.segment, request.language, request.time_zone
    items, offers = request.excluded_item_ids or (), request.excluded_offer_ids or ()
    consents = request.consent_categories or ()
    check("channel", optional_kebab_problem(channel, 32))
    check("segment", optional_id_problem(segment))
    if items:
        check_ids("excluded_item_ids", items, 0, _MAXIMAL_EXCLUDED)
    if offers:
        check_ids("excluded_offer_ids", offers, 0, _MAXIMAL_EXCLUDED)
    check("language", language_problem(language))
    if consents:
        check("consent_categories", count_problem(len(consents), 0, _MAXIMAL_CONSENTS))
        check_kebabs("consent_categories", consents)
    return Query(
        slates=slates,
        now=now,
        channel=channel,
        context_item_ids=context_item_ids,
        excluded_item_ids=items,
        excluded_offer_ids=offers,
        segment=segment,
        explain=request.explain,
        utc_offset=utc_offset(time_zone, now) if time_zone else 0,
        language=language,
        consent_categories=frozenset(consents),
        trace_offer_ids=trace_offer_ids,
        seed=seed,
    )


def _slate_query(field: str, name: str, page_size: int, snapshot: Snapshot) -> SlateQuery:
    placement = placement_of(field, name, snapshot)
    return SlateQuery(placement, size_of_page(page_size, placement.size, MAXIMAL_PLACEMENT_SIZE))
