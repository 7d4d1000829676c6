"""Protobuf's wire format by hand, for the one answer that is given at every page view (docs/decisions/0003).

Encoded messages concatenate: what is the same in many answers is encoded once, and each answer only joins bytes.
Field numbers come from the descriptors, so that they are those of the contract.
"""

from google.protobuf.descriptor import Descriptor

_VARINT, _LENGTH_DELIMITED, _FIXED_32 = 0, 2, 5
_REMEMBERED = 4_096


def varint(number: int) -> bytes:
    """Encode a number ≥ 0 as a base-128 varint."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class EmbeddedTag(dict[int, bytes]):
    """Begins a field that is embedded: by the length of its content, the tag and that length.

    Each is encoded once: the same few lengths come again and again.
    """

    def __init__(self, tag: bytes) -> None:
        super().__init__()
        self._tag = tag

    def __missing__(self, length: int) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        beginning = self[length] = self._tag + varint(length)
        return beginning


def embedded(tag: EmbeddedTag, content: bytes) -> bytes:
    """Encode a field that is a message, a string or bytes."""
    return tag[len(content)] + content


def number_tag(message: Descriptor, field: str) -> bytes:
    """Begin a field of type int32, int64, bool or enum."""
    return _tag(message, field, _VARINT)


def float_tag(message: Descriptor, field: str) -> bytes:
    """Begin a field of type float."""
    return _tag(message, field, _FIXED_32)


def embedded_tag(message: Descriptor, field: str) -> EmbeddedTag:
    """Begin a field that is a message, a string or bytes; :func:`embedded` ends it."""
    return EmbeddedTag(_tag(message, field, _LENGTH_DELIMITED))


def _tag(message: Descriptor, field: str, wire_type: int) -> bytes:
    return varint(message.fields_by_name[field].number << 3 | wire_type)
