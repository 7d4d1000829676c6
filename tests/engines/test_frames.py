import gzip
import zlib
from collections.abc import Iterable

import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from service.engines.envoy.frames import FrameReader, check_encoding, frame, only_message
from service.handlers.errors import StatusError

LIMIT = 1000
MESSAGES = st.lists(st.binary(max_size=LIMIT), max_size=5)


def compressed(message: bytes) -> bytes:
    return b"\1" + len(message).to_bytes(4, "big") + message


def read(pieces: Iterable[bytes], encoding: str = "identity") -> list[bytes]:
    reader = FrameReader(encoding, LIMIT)
    messages = [message for piece in pieces for message in reader.feed(piece)]
    reader.finish()
    return messages


@given(MESSAGES, st.integers(1, 50))
def test_messages_come_out_as_they_went_in_however_the_body_is_cut(messages: list[bytes], size: int) -> None:
    body = b"".join(frame(message) for message in messages)
    assert read(body[start : start + size] for start in range(0, len(body), size)) == messages


@given(st.binary(max_size=LIMIT))
def test_the_one_message_of_a_body_is_given(message: bytes) -> None:
    assert only_message(frame(message), "identity", LIMIT) == message
    assert only_message(compressed(gzip.compress(message, mtime=0)), "gzip", LIMIT) == message
    assert only_message(compressed(zlib.compress(message)), "deflate", LIMIT) == message


@given(st.binary(max_size=40), st.sampled_from(["identity", "gzip", "deflate"]))
def test_any_bytes_are_either_a_message_or_a_status(body: bytes, encoding: str) -> None:
    try:
        assert len(only_message(body, encoding, LIMIT)) <= LIMIT
    except StatusError as error:
        assert error.code in {code_pb2.INTERNAL, code_pb2.RESOURCE_EXHAUSTED}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\0",
        b"\0\0\0\0\2x",
        frame(b"one") + frame(b"two"),
        frame(b"one") + b"\0",
        b"\2\0\0\0\1x",
        compressed(b"not compressed"),
        compressed(gzip.compress(b"cut off", mtime=0)[:-9]),
    ],
)
def test_a_malformed_body_is_an_internal_error(body: bytes) -> None:
    with pytest.raises(StatusError) as caught:
        only_message(body, "gzip", LIMIT)
    assert (caught.value.code, caught.value.reason) == (code_pb2.INTERNAL, "MALFORMED_FRAME")


@pytest.mark.parametrize(
    "body", [frame(b"x" * (LIMIT + 1)), b"\0\xff\xff\xff\xff", compressed(gzip.compress(b"x" * 1_000_000, mtime=0))]
)
def test_a_message_above_the_limit_is_refused_before_it_is_in_memory(body: bytes) -> None:
    with pytest.raises(StatusError) as caught:
        only_message(body, "gzip", LIMIT)
    assert caught.value.code == code_pb2.RESOURCE_EXHAUSTED


def test_an_encoding_that_is_not_known_is_unimplemented() -> None:
    with pytest.raises(StatusError) as caught:
        check_encoding("snappy")
    assert caught.value.code == code_pb2.UNIMPLEMENTED
