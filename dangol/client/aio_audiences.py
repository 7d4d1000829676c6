"""The asyncio call about audiences."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from dangol.client.calls import AsyncCalls
from dangol.v1.audience_service_pb2 import FindAudienceRequest, FindAudienceResponse
from dangol.v1.audience_service_pb2_grpc import AudienceServiceStub
from dangol.v1.catalog_pb2 import Rebuys

if TYPE_CHECKING:
    from dangol.v1.audience_service_pb2_grpc import AudienceServiceAsyncStub


class AsyncAudienceCalls(AsyncCalls):
    """Speaks to AudienceService. Every method may raise :class:`dangol.client.ClientError`."""

    @cached_property
    def _audiences(self) -> "AudienceServiceAsyncStub":
        return AudienceServiceStub(self._channel)

    def find_audience(
        self,
        placement: str,
        *,
        offer_id: str = "",
        item_id: str = "",
        channel: str = "",
        limit: int = 0,
        minimal_score: float | None = None,
        rebuys: Rebuys = Rebuys.REBUYS_UNSPECIFIED,
        audience_ids: Sequence[str] = (),
        excluded_audience_ids: Sequence[str] = (),
        consent_category: str = "",
        time_zone: str = "",
        send_time: datetime | None = None,
        maximal_age: timedelta | None = None,
        explain: bool = False,
        resume_token: str = "",
        timeout: float | None = None,
    ) -> AsyncIterator[FindAudienceResponse]:
        """Find the best customers for an offer or an item: batches of them, then the summary; before, progress.

        ``timeout`` spans the whole stream; without one there is no deadline. After an error ask again with the
        ``resume_token`` of the last batch that came.
        """
        request = FindAudienceRequest(
            offer_id=offer_id or None,
            item_id=item_id or None,
            placement=placement,
            channel=channel,
            limit=limit,
            minimal_score=minimal_score,
            rebuys=rebuys,
            audience_ids=audience_ids,
            excluded_audience_ids=excluded_audience_ids,
            consent_category=consent_category,
            time_zone=time_zone,
            send_time=send_time,
            maximal_age=maximal_age,
            explain=explain,
            resume_token=resume_token,
        )
        return self._answers(self._audiences.FindAudience, request, timeout)
