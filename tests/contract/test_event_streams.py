"""Streams of events on every engine: acknowledged batch by batch, and held back when they come too fast."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from dangol.client import Client, InvalidRequestError, ServerUnavailableError
from dangol.v1.event_pb2 import Event
from dangol.v1.event_service_pb2_grpc import EventServiceStub
from service.store.embedded import EmbeddedRedis
from tests.server_fixtures import ENGINES, RunningServer, running_server

BATCH = 100


def batch(number: int, prefix: str = "stream") -> list[Event]:
    events = []
    for place in range(BATCH):
        event = Event(event_id=f"{prefix}-{number}-{place}", customer_id="ada", event_type="view", item_id="item-001")
        event.event_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
        # Long, so that a few batches fill whatever lies between client and handler.
        event.query = "x" * 500
        events.append(event)
    return events


def test_each_batch_is_acknowledged_in_its_order(server: RunningServer) -> None:
    with Client(server.address) as client:
        answers = list(client.stream_events(batch(number) for number in (1, 2, 1)))
    assert [(answer.recorded_count, answer.duplicate_count) for answer in answers] == [(100, 0), (100, 0), (0, 100)]


def test_a_bad_batch_ends_the_stream_and_what_was_before_is_stored(server: RunningServer) -> None:
    with Client(server.address) as client:
        stream = client.stream_events([batch(1, "bad"), [Event(event_id="bad")], batch(2, "bad")])
        assert next(stream).recorded_count == BATCH
        with pytest.raises(InvalidRequestError) as caught:
            next(stream)
        assert caught.value.violations[0].field == "events[0].customer_id"
        assert [answer.duplicate_count for answer in client.stream_events([batch(1, "bad")])] == [BATCH]


def test_a_stream_without_batches_ends_without_an_answer(channel: grpc.Channel) -> None:
    assert list(EventServiceStub(channel).StreamEvents(iter(()), timeout=10)) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_client_that_sends_too_fast_is_held_back(engine: str, own_redis: EmbeddedRedis, tmp_path: Path) -> None:
    taken: list[int] = []

    def batches() -> Iterator[list[Event]]:
        for number in range(2_000):
            taken.append(number)
            yield batch(number)

    settings = {"engine": engine, "write_timeout": 3.0, "redis_command_timeout": 10.0}
    with running_server(tmp_path / "server", own_redis.url, **settings) as server:
        process_id = own_redis.process_id
        with Client(server.address) as client:
            stream = client.stream_events(batches())
            assert next(stream).recorded_count == BATCH
            os.kill(process_id, signal.SIGSTOP)
            try:
                with pytest.raises(ServerUnavailableError):
                    list(stream)
            finally:
                os.kill(process_id, signal.SIGCONT)
    # 55 kB each: what lies between client and handler is a few MB.
    assert len(taken) < 200
