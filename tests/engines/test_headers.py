import base64
import time
from urllib.parse import unquote

import pytest
from google.rpc import status_pb2
from hypothesis import given
from hypothesis import strategies as st

from service.engines.envoy.headers import RequestMetadata, deadline_of, status_headers
from service.handlers.errors import StatusError


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"100m", 0.1), (b"5000u", 0.005), (b"99999999n", 0.1)],
)
def test_a_timeout_becomes_a_deadline(timeout: bytes, seconds: float) -> None:
    before = time.monotonic()
    deadline = deadline_of(timeout)
    assert before + seconds <= deadline + 1e-6
    assert deadline <= time.monotonic() + seconds


@pytest.mark.parametrize("timeout", [b"1", b"S", b"-1S", b"1.5S", b"123456789S", b"1s", b"\xb2S", b""])
def test_a_timeout_that_makes_no_sense_is_refused(timeout: bytes) -> None:
    with pytest.raises(StatusError, match="grpc-timeout"):
        deadline_of(timeout)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_message_survives_its_way_through_a_header(message: str) -> None:
    headers = dict(status_headers(StatusError(3, message, "REASON")))
    encoded = headers[b"grpc-message"]
    assert all(0x20 <= byte < 0x7F for byte in encoded)
    assert unquote(encoded.decode()) == message


def test_details_are_base64_without_padding() -> None:
    headers = dict(status_headers(StatusError(3, "no", "REASON")))
    details = headers[b"grpc-status-details-bin"]
    assert b"=" not in details
    status = status_pb2.Status.FromString(base64.b64decode(details + b"=="))
    assert (status.code, status.message) == (3, "no")


def test_metadata_is_what_the_caller_set_with_bytes_decoded() -> None:
    metadata = RequestMetadata(
        [
            (b"host", b"here"),
            (b"te", b"trailers"),
            (b"grpc-timeout", b"1S"),
            (b"authorization", b"Bearer x"),
            (b"key-bin", b"AP8"),
            (b"key-bin", b"AA==, /w"),
        ]
    )
    assert list(metadata) == [
        ("authorization", "Bearer x"),
        ("key-bin", b"\x00\xff"),
        ("key-bin", b"\x00"),
        ("key-bin", b"\xff"),
    ]
    assert len(metadata) == 4
    assert metadata[0] == ("authorization", "Bearer x")


def test_bytes_that_are_not_base64_are_refused() -> None:
    with pytest.raises(StatusError, match="base64"):
        list(RequestMetadata([(b"key-bin", b"%%%")]))
