"""gRPC's frames: five bytes, then a message. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md."""

import zlib
from collections.abc import Iterator

from google.rpc import code_pb2

from service.handlers.errors import StatusError

PREFIX_SIZE = 5
_ZLIB_WINDOWS = {"gzip": 31, "deflate": 15}
ACCEPTED_ENCODINGS = b"identity,deflate,gzip"


def frame(message: bytes) -> bytes:
    """Put the prefix before a message that is not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def only_message(body: bytes, encoding: str, maximum: int) -> bytes:
    """Give the one message of a whole body, at most ``maximum`` bytes of it.

    StatusError when there is none, more than one or half of one, when it is too large or cannot be decompressed.
    """
    size = len(body) - PREFIX_SIZE
    if size >= 0 and body[0] == 0 and int.from_bytes(body[1:5], "big") == size <= maximum:
        return body[PREFIX_SIZE:]
    reader = FrameReader(encoding, maximum)
    messages = list(reader.feed(body))
    reader.finish()
    if len(messages) != 1:
        problem = f"exactly one message belongs into this call, not {len(messages)}"
        raise StatusError(code_pb2.INTERNAL, problem, "MALFORMED_FRAME")
    return messages[0]


class FrameReader:
    """Takes a body apart, piece by piece as it comes in."""

    def __init__(self, encoding: str, maximum: int) -> None:
        """``encoding`` is the value of ``grpc-encoding``, ``maximum`` the largest message in bytes."""
        self._encoding = encoding
        self._maximum = maximum
        self._rest = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Give the messages that are whole with this piece. StatusError as :func:`only_message`."""
        self._rest += piece
        while len(self._rest) >= PREFIX_SIZE:
            size = int.from_bytes(self._rest[1:PREFIX_SIZE], "big")
            if size > self._maximum:
                raise _too_large(self._maximum)
            end = PREFIX_SIZE + size
            if len(self._rest) < end:
                return
            flag, message = self._rest[0], bytes(self._rest[PREFIX_SIZE:end])
            del self._rest[:end]
            yield self._plain(flag, message)

    def finish(self) -> None:
        """Make sure that nothing is left over at the end of the body. StatusError if so."""
        if self._rest:
            raise StatusError(code_pb2.INTERNAL, "the request ends within a message", "MALFORMED_FRAME")

    def _plain(self, flag: int, message: bytes) -> bytes:
        if flag == 0:
            return message
        window = _ZLIB_WINDOWS.get(self._encoding)
        if flag != 1 or window is None:
            raise StatusError(code_pb2.INTERNAL, "the prefix of the message makes no sense", "MALFORMED_FRAME")
        return _decompressed(message, window, self._maximum)


def check_encoding(encoding: str) -> None:
    """Make sure that messages of this ``grpc-encoding`` can be read. StatusError UNIMPLEMENTED if not."""
    if encoding != "identity" and encoding not in _ZLIB_WINDOWS:
        problem = "the request is compressed in a way that is not known here"
        raise StatusError(code_pb2.UNIMPLEMENTED, problem, "UNKNOWN_COMPRESSION")


def _decompressed(message: bytes, window: int, maximum: int) -> bytes:
    # Never more than the limit comes into memory, however small a bomb is packed.
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(message, maximum + 1)
    except zlib.error:
        raise StatusError(code_pb2.INTERNAL, "the message cannot be decompressed", "MALFORMED_FRAME") from None
    if len(plain) > maximum:
        raise _too_large(maximum)
    if not inflater.eof:
        raise StatusError(code_pb2.INTERNAL, "the message cannot be decompressed", "MALFORMED_FRAME")
    return plain


def _too_large(maximum: int) -> StatusError:
    problem = f"a message of this request is larger than {maximum} bytes"
    return StatusError(code_pb2.RESOURCE_EXHAUSTED, problem, "REQUEST_TOO_LARGE")
