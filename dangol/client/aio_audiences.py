"""The asyncio call about audiences."""

from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

from dangol.client.audiences import AudienceQuestion, audience_request
from dangol.client.calls import AsyncCalls
from dangol.v1.audience_service_pb2 import FindAudienceResponse
from dangol.v1.audience_service_pb2_grpc import AudienceServiceStub

if TYPE_CHECKING:
    from dangol.v1.audience_service_pb2_grpc import AudienceServiceAsyncStub


class AsyncAudienceCalls(AsyncCalls):
    """Speaks to AudienceService. Every method may raise :class:`dangol.client.ClientError`."""

    @cached_property
    def _audiences(self) -> "AudienceServiceAsyncStub":
        return AudienceServiceStub(self._channel)

    def find_audience(
        self, placement: str, *, timeout: float | None = None, **question: Unpack[AudienceQuestion]
    ) -> AsyncIterator[FindAudienceResponse]:
        """Find the best customers for an offer or an item: batches of them, then the summary; before, progress.

        ``timeout`` spans the whole stream; without one there is no deadline. After an error ask again with the
        ``resume_token`` of the last batch that came.
        """
        return self._answers(self._audiences.FindAudience, audience_request(placement, question), timeout)
