"""Questions for audiences ↔ domain, each field checked; and the tokens by which an answer goes on."""

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dangol.v1 import audience_service_pb2 as messages
from dangol.v1 import catalog_pb2, offer_service_pb2
from models.errors import InvalidInputError, NotFoundError, PreconditionError
from models.offers import Rebuys
from service.decision.audience import AudienceQuery
from service.decision.best_first import Standing
from service.decision.indexed_offer import IndexedOffer
from service.decision.query import Query, SlateQuery
from service.decision.snapshot import Snapshot
from service.decision.terms import TraceRule
from service.handlers.queries import placement_of, utc_offset
from service.handlers.terms_messages import seconds_from
from service.handlers.validation import (
    check,
    check_distinct,
    check_ids,
    id_problem,
    optional_kebab_problem,
    range_problem,
    time_problem,
)

DEFAULT_LIMIT = 10_000
MAXIMAL_LIMIT = 1_000_000
_MAXIMAL_AUDIENCES = 32
_CLOCK_SKEW = 60.0  # seconds that a send time may lie behind our clock and still mean now
_TOKEN = struct.Struct("<QfQI8s")
"""Generation, score and digest of the last customer, their rank, and what the question was."""

_REBUYS = {
    catalog_pb2.REBUYS_LATER: Rebuys.LATER,
    catalog_pb2.REBUYS_ALLOWED: Rebuys.ALLOWED,
    catalog_pb2.REBUYS_REFUSED: Rebuys.REFUSED,
}


@dataclass(frozen=True, slots=True)
class AudienceRequest:
    """Is a question for an audience. ``after`` is where an earlier answer ended, with the last ``rank`` given there.

    ``maximal_age`` is in seconds, None for as long as the server keeps what it knows of all lists. ``question`` tells
    questions apart.
    """

    asked: AudienceQuery
    query: Query
    limit: int
    minimal_score: float
    maximal_age: float | None
    question: bytes
    after: Standing | None
    rank: int


def audience_request(request: messages.FindAudienceRequest, snapshot: Snapshot, now: float) -> AudienceRequest:
    """Read a question. InvalidInputError names the field, NotFoundError what does not exist."""
    check("channel", optional_kebab_problem(request.channel, 32))
    if request.limit < 0:
        raise InvalidInputError("limit", "is negative")
    if request.HasField("minimal_score"):
        check("minimal_score", range_problem(request.minimal_score, -1e30, 1e30))
    maximal_age = None
    if request.HasField("maximal_age"):
        maximal_age = float(seconds_from(request.maximal_age, "maximal_age"))
    asked = _asked(request, snapshot)
    question = _question(request)
    after, rank = _read_token(request.resume_token, snapshot.model.generation, question)
    send_time = _send_time(request, now)
    query = Query(
        slates=[SlateQuery(asked.placement, 1)],
        now=send_time,
        channel=request.channel,
        explain=request.explain,
        utc_offset=utc_offset(request.time_zone, send_time) if request.time_zone else 0,
    )
    minimal_score = request.minimal_score if request.HasField("minimal_score") else float("-inf")
    limit = min(request.limit or DEFAULT_LIMIT, MAXIMAL_LIMIT)
    return AudienceRequest(asked, query, limit, minimal_score, maximal_age, question, after, rank)


def _asked(request: messages.FindAudienceRequest, snapshot: Snapshot) -> AudienceQuery:
    placement = placement_of("placement", request.placement, snapshot)
    if request.rebuys and request.rebuys not in _REBUYS:
        raise InvalidInputError("rebuys", "is not a rule that this server knows")
    for field in ("audience_ids", "excluded_audience_ids"):
        _check_audiences(field, getattr(request, field), snapshot)
    check("consent_category", optional_kebab_problem(request.consent_category))
    indexed = None
    match request.WhichOneof("subject"):
        case "offer_id":
            indexed = _offer_of(request.offer_id, snapshot)
        case "item_id":
            check("item_id", id_problem(request.item_id))
            if request.item_id not in snapshot.catalog.items and snapshot.slots.find(request.item_id) is None:
                raise NotFoundError(f"item_id: there is no item {request.item_id}")
        case _:
            raise InvalidInputError("offer_id", "is required, or item_id")
    return AudienceQuery(
        placement=placement,
        rebuys=_REBUYS.get(request.rebuys, placement.rebuys),
        indexed=indexed,
        item_id=request.item_id,
        audience_ids=tuple(request.audience_ids),
        excluded_audience_ids=tuple(request.excluded_audience_ids),
        consent_category=request.consent_category,
    )


def _offer_of(offer_id: str, snapshot: Snapshot) -> IndexedOffer:
    check("offer_id", id_problem(offer_id))
    if offer_id not in snapshot.catalog.offers:
        raise NotFoundError(f"offer_id: there is no offer {offer_id}")
    indexed = snapshot.offers.get(offer_id)
    if indexed is None:
        raise PreconditionError(f"the offer {offer_id} is not live, or its time is over")
    if indexed.offer.fallback:
        raise PreconditionError(f"the offer {offer_id} is a fallback, which is for everybody")
    return indexed


def _check_audiences(field: str, audience_ids: Sequence[str], snapshot: Snapshot) -> None:
    check_ids(field, audience_ids, 0, _MAXIMAL_AUDIENCES)
    check_distinct(field, audience_ids)
    for index, audience_id in enumerate(audience_ids):
        if audience_id not in snapshot.catalog.audiences:
            raise NotFoundError(f"{field}[{index}]: there is no audience {audience_id}")


def _send_time(request: messages.FindAudienceRequest, now: float) -> float:
    if not request.HasField("send_time"):
        return now
    check("send_time", time_problem(request.send_time))
    send_time = request.send_time.seconds + request.send_time.nanos / 1e9
    if send_time < now - _CLOCK_SKEW:
        raise InvalidInputError("send_time", "is in the past")
    return send_time


def _question(request: messages.FindAudienceRequest) -> bytes:
    """Give 8 bytes that are the same for the same question, wherever its answer goes on."""
    plain = messages.FindAudienceRequest()
    plain.CopyFrom(request)
    for field in ("limit", "explain", "maximal_age", "resume_token"):
        plain.ClearField(field)
    return hashlib.blake2b(plain.SerializeToString(deterministic=True), digest_size=8).digest()


def resume_token(request: AudienceRequest, generation: int, last: Standing, rank: int) -> str:
    """Give the token that goes on after a customer."""
    content = _TOKEN.pack(generation, -last.negative_score, last.digest, rank, request.question)
    return base64.urlsafe_b64encode(content).decode()


def _read_token(token: str, generation: int, question: bytes) -> tuple[Standing | None, int]:
    if not token:
        return None, 0
    try:
        content = base64.b64decode(token, altchars=b"-_", validate=True)
        found, score, digest, rank, asked = _TOKEN.unpack(content)
    except (binascii.Error, ValueError, struct.error) as error:
        raise InvalidInputError("resume_token", "is not a token that this server gave") from error
    if asked != question:
        raise InvalidInputError("resume_token", "belongs to another question")
    if found != generation:
        raise PreconditionError("another generation is served than when this answer began: begin anew")
    return Standing(-score, digest), rank


def left_out_counts(counts: Mapping[TraceRule, int]) -> Iterable[messages.LeftOutCount]:
    """Write how many customers were left out, the rule that left out most first."""
    for rule, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        yield messages.LeftOutCount(rule=offer_service_pb2.TraceRule.ValueType(rule.value), count=count)
