"""What a page of offers costs, counted in bytecode instructions: no busy machine changes their number."""

import asyncio
import selectors
import sys
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from benchmarks.shop import customer_id, publish_shop
from dangol.v1.offer_service_pb2 import RecommendOffersRequest, RecommendOffersResponse
from service.composition import running
from service.settings import read_settings
from service.store.embedded import EmbeddedRedis

PATH = "/dangol.v1.OfferService/RecommendOffers"
CUSTOMERS = 20
BOUND = 4_550
"""A tenth above what the whole call of ten offers takes on CPython 3.11, with a command to Redis of its own.

Raise it only for what is worth every caller's waiting for; ``make bench-serving`` tells what it is in time.
"""
_LOOP = (f"{Path(asyncio.__file__).parent}/", selectors.__file__)
"""The event loop's own code: how often it turns depends on the machine."""


class Instructions:
    """Counts the instructions of Python, libraries' included, that this thread executes, but for the event loop's."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> "Instructions":
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - as typeshed has it
        if frame.f_code.co_filename.startswith(_LOOP):
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        self.count += event == "opcode"
        return self._trace


async def test_a_page_of_ten_offers_takes_no_more_instructions_than_it_did(
    tmp_path: Path, own_redis: EmbeddedRedis
) -> None:
    publish_shop(own_redis.url, tmp_path, CUSTOMERS, 500, 100)
    settings = read_settings(home=tmp_path, redis_url=own_redis.url, metrics_listen="off", read_timeout=30.0)
    requests = [
        RecommendOffersRequest(customer_id=customer_id(number), placements=["default"]).SerializeToString()
        for number in range(CUSTOMERS)
    ]
    async with running(settings, own_redis.url) as server:
        dispatch = server.parts.dispatcher.dispatch
        for task in server.tasks:
            task.cancel()  # what goes on in the background goes by the clock
        answers = [await dispatch(PATH, request, (), time.monotonic() + 60) for request in requests]
        server.parts.telemetry.flush()
        with Instructions() as instructions:
            for request in requests:
                await dispatch(PATH, request, (), time.monotonic() + 60)
            server.parts.telemetry.flush()  # the lines of calls are written together, later
    slates = [RecommendOffersResponse.FromString(answer).slates[0] for answer in answers]
    assert all(len(slate.offers) == 10 for slate in slates)
    assert instructions.count / CUSTOMERS < BOUND, "the hot path has grown"
