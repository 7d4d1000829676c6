"""Page tokens: where a list goes on. Opaque to callers, and refused when they are not ours."""

import base64
import binascii
from collections.abc import Mapping
from typing import TypeVar

from models.errors import InvalidInputError
from service.handlers.validation import size_of_page

DEFAULT_PAGE_SIZE = 100
MAXIMAL_PAGE_SIZE = 1000

Record = TypeVar("Record")


def page_of(records: Mapping[str, Record], page_size: int, page_token: str, kind: str) -> tuple[list[Record], str]:
    """Give a page of records ordered by id, and the token of the next page, empty on the last one.

    A token names the last id of its page, so that a page neither repeats nor skips what existed all along.
    InvalidInputError names ``page_size`` or ``page_token``.
    """
    size = size_of_page(page_size, DEFAULT_PAGE_SIZE, MAXIMAL_PAGE_SIZE)
    after = _read_token(page_token, kind)
    remaining = sorted(id_ for id_ in records if id_ > after) if after is not None else sorted(records)
    page = remaining[:size]
    token = _write_token(page[-1], kind) if len(remaining) > size else ""
    return [records[id_] for id_ in page], token


def _write_token(last_id: str, kind: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}:{last_id}".encode()).decode()


def _read_token(token: str, kind: str) -> str | None:
    if not token:
        return None
    try:
        found_kind, _, last_id = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError("page_token", "is not a token that this server gave") from error
    if found_kind != kind:
        raise InvalidInputError("page_token", "belongs to another list")
    return last_id
