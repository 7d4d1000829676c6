"""The blocking call about audiences, and what both clients' calls take."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypedDict, Unpack

from dangol.client.calls import Calls
from dangol.v1.audience_service_pb2 import FindAudienceRequest, FindAudienceResponse
from dangol.v1.audience_service_pb2_grpc import AudienceServiceStub
from dangol.v1.catalog_pb2 import Rebuys


class AudienceQuestion(TypedDict, total=False):
    """Holds the keywords of ``find_audience``; they are the fields of FindAudienceRequest.

    ``offer_id`` or ``item_id`` must be given. A ``send_time`` without a zone is UTC.
    """

    offer_id: str
    item_id: str
    channel: str
    limit: int
    minimal_score: float | None
    rebuys: Rebuys.ValueType
    audience_ids: Sequence[str]
    excluded_audience_ids: Sequence[str]
    consent_category: str
    time_zone: str
    send_time: datetime | None
    maximal_age: timedelta | None
    explain: bool
    resume_token: str


class AudienceCalls(Calls):
    """Speaks to AudienceService. Every method may raise :class:`dangol.client.ClientError`."""

    @cached_property
    def _audiences(self) -> AudienceServiceStub:
        return AudienceServiceStub(self._channel)

    def find_audience(
        self, placement: str, *, timeout: float | None = None, **question: Unpack[AudienceQuestion]
    ) -> Iterator[FindAudienceResponse]:
        """Find the best customers for an offer or an item: batches of them, then the summary; before, progress.

        ``timeout`` spans the whole stream; without one there is no deadline. After an error ask again with the
        ``resume_token`` of the last batch that came.
        """
        return self._answers(self._audiences.FindAudience, audience_request(placement, question), timeout)


def audience_request(placement: str, question: AudienceQuestion) -> FindAudienceRequest:
    """Put a question into a message."""
    request = FindAudienceRequest(
        placement=placement,
        channel=question.get("channel", ""),
        limit=question.get("limit", 0),
        minimal_score=question.get("minimal_score"),
        rebuys=question.get("rebuys", Rebuys.REBUYS_UNSPECIFIED),
        audience_ids=question.get("audience_ids", ()),
        excluded_audience_ids=question.get("excluded_audience_ids", ()),
        consent_category=question.get("consent_category", ""),
        time_zone=question.get("time_zone", ""),
        explain=question.get("explain", False),
        resume_token=question.get("resume_token", ""),
    )
    if offer_id := question.get("offer_id"):
        request.offer_id = offer_id
    elif item_id := question.get("item_id"):
        request.item_id = item_id
    if send_time := question.get("send_time"):
        request.send_time.FromDatetime(send_time)
    maximal_age = question.get("maximal_age")
    if maximal_age is not None:
        request.maximal_age.FromTimedelta(maximal_age)
    return request
