"""Offers for any number of customers over one stream, without more than a few batches in memory on either side."""

# grpc's own classes cannot be subscripted while the program runs, only in annotations that are not evaluated.
from __future__ import annotations

import itertools
import queue
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import cast

import grpc
import grpc.aio

from dangol.client.errors import FailedCall, error_of
from dangol.v1.offer_service_pb2 import (
    BatchRecommendOffersRequest,
    CustomerSlate,
    StreamRecommendOffersRequest,
    StreamRecommendOffersResponse,
)

BATCH_SIZE = 500
"""Customers in one request."""
AHEAD = 3
"""Requests that are sent before the first of them is answered: the server is not idle, and nothing piles up."""


def stream_requests(
    customer_ids: Iterable[str], terms: BatchRecommendOffersRequest
) -> Iterator[StreamRecommendOffersRequest]:
    """Divide customers into requests that are otherwise like ``terms``."""
    remaining = iter(customer_ids)
    while some := list(itertools.islice(remaining, BATCH_SIZE)):
        request = StreamRecommendOffersRequest(batch=terms)
        request.batch.customer_ids.extend(some)
        yield request


def stream_slates(
    method: grpc.StreamStreamMultiCallable[StreamRecommendOffersRequest, StreamRecommendOffersResponse],
    requests: Iterator[StreamRecommendOffersRequest],
    timeout: float | None,
    target: str,
) -> Iterator[CustomerSlate]:
    """Send requests as their predecessors are answered, and give the slates in order. ClientError."""
    waiting: queue.SimpleQueue[StreamRecommendOffersRequest | None] = queue.SimpleQueue()
    call = method(iter(waiting.get, None), timeout=timeout)
    try:
        for _ in range(AHEAD):
            waiting.put(next(requests, None))
        for response in call:
            waiting.put(next(requests, None))
            yield from response.batch.customer_slates
    except grpc.RpcError as failure:
        raise error_of(cast("FailedCall", failure), target) from None
    finally:
        call.cancel()
        waiting.put(None)


async def stream_slates_async(
    method: grpc.aio.StreamStreamMultiCallable[StreamRecommendOffersRequest, StreamRecommendOffersResponse],
    requests: Iterator[StreamRecommendOffersRequest],
    timeout: float | None,
    target: str,
) -> AsyncIterator[CustomerSlate]:
    """Do as :func:`stream_slates` does, on an asyncio channel."""
    call = method(timeout=timeout)
    try:
        for request in itertools.islice(requests, AHEAD):
            await call.write(request)
        following = next(requests, None)
        if following is None:
            await call.done_writing()
        while isinstance(response := await call.read(), StreamRecommendOffersResponse):
            if following is not None:
                await call.write(following)
                following = next(requests, None)
                if following is None:
                    await call.done_writing()
            for slate in response.batch.customer_slates:
                yield slate
    except grpc.aio.AioRpcError as failure:
        raise error_of(cast("FailedCall", failure), target) from None
    finally:
        call.cancel()
