"""The asyncio calls about pushes."""

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from dangol.client.calls import AsyncCalls
from dangol.v1 import push_service_pb2 as messages
from dangol.v1.push_service_pb2_grpc import PushServiceStub

if TYPE_CHECKING:
    from dangol.v1.push_service_pb2_grpc import PushServiceAsyncStub


class AsyncPushCalls(AsyncCalls):
    """Speaks to PushService. Every method may raise :class:`dangol.client.ClientError`."""

    @cached_property
    def _pushes(self) -> "PushServiceAsyncStub":
        return PushServiceStub(self._channel)

    async def lease_pushes(
        self, *, page_size: int = 0, visibility: int = 60, timeout: float | None = None
    ) -> list[messages.LeasedPush]:
        """Get pushes to send, which nobody else gets for ``visibility`` seconds; empty when nothing is due."""
        request = messages.LeasePushesRequest(page_size=page_size, visibility=Duration(seconds=visibility))
        return list((await self._write(self._pushes.LeasePushes, request, timeout)).pushes)

    async def acknowledge_pushes(
        self, acknowledgements: Iterable[messages.PushAcknowledgement], *, timeout: float | None = None
    ) -> int:
        """Tell what became of 1 to 1,000 pushes, and give how many of them that ended or gave back."""
        request = messages.AcknowledgePushesRequest(acknowledgements=acknowledgements)
        return (await self._write(self._pushes.AcknowledgePushes, request, timeout)).acknowledged_count

    async def list_pushes(self, *, page_size: int = 0, timeout: float | None = None) -> messages.ListPushesResponse:
        """List the pushes that are due next, and count all that wait."""
        return await self._write(self._pushes.ListPushes, messages.ListPushesRequest(page_size=page_size), timeout)
