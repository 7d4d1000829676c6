"""API messages to and from JSON: what ``--json`` prints and what files for upserts hold."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from models.errors import InvalidInputError

MessageT = TypeVar("MessageT", bound=Message)


def document_of(message: Message, *, with_defaults: bool = False) -> dict[str, Any]:
    """Write a message in protobuf's JSON form under its own field names."""
    document: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=with_defaults
    )
    return document


def read_messages(path: Path, kind: type[MessageT]) -> Iterator[MessageT]:
    """Read a file of messages: JSON Lines, or one JSON array. InvalidInputError names file, line and problem."""
    for place, document in _documents(path):
        yield message_of(place, document, kind)


def message_of(place: str, document: Any, kind: type[MessageT]) -> MessageT:  # noqa: ANN401 - of any shape, as files are
    """Read one message from its JSON form. InvalidInputError names place and problem."""
    try:
        return ParseDict(document, kind())
    except (ParseError, TypeError, AttributeError) as error:
        raise InvalidInputError(place, f"is no {kind.DESCRIPTOR.name} ({_short(error)})") from error


def _documents(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(str(path), "is not UTF-8") from error
    if text.lstrip().startswith("["):
        for number, document in enumerate(_decoded(str(path), text), start=1):
            yield f"{path}: entry {number}", document
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            place = f"{path}: line {number}"
            yield place, _decoded(place, line)


def _decoded(place: str, text: str) -> Any:  # noqa: ANN401 - JSON of any shape; what does not fit is refused
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInputError(place, f"is not JSON ({error})") from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
