"""What a supervising process and a process under it tell each other: lines of JSON over one socket.

The socket is the standard input of the lower process. When one side ends, the other sees it.
"""

import asyncio
import json
import os
import socket
from typing import Any, Self

from models import errors
from models.errors import DangolError, InvalidInputError

Word = dict[str, Any]

_LONGEST = 1 << 20


class Lifeline:
    """Is one end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, connection: socket.socket) -> Self:
        """Take an end over; it is closed with this object."""
        return cls(*await asyncio.open_connection(sock=connection, limit=_LONGEST))

    @classmethod
    async def inherited(cls) -> Self:
        """Take the end that this process got as its standard input."""
        return await cls.over(socket.socket(fileno=os.dup(0)))

    def tell(self, **word: object) -> None:
        """Send a word."""
        self._writer.write(json.dumps(word).encode() + b"\n")

    async def hear(self) -> Word | None:
        """Wait for a word; None when the other side has ended."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        if not line.endswith(b"\n"):
            return None
        word: Word = json.loads(line)
        return word

    def close(self) -> None:
        """End it; what was told still arrives."""
        self._writer.close()


def confession(error: Exception) -> Word:
    """Put an error into words; of one that nobody expected only that the log has it."""
    if isinstance(error, InvalidInputError):
        return {"error": type(error).__name__, "field": error.field, "problem": error.problem}
    if isinstance(error, DangolError):
        return {"error": type(error).__name__, "field": "", "problem": str(error)}
    return {"error": "DangolError", "field": "", "problem": "something unexpected went wrong; the log says what"}


def or_raise(word: Word) -> Word:
    """Give a word back, or raise the error that it confesses."""
    if "error" not in word:
        return word
    kind = getattr(errors, word["error"], DangolError)
    if issubclass(kind, InvalidInputError):
        raise kind(word["field"], word["problem"])
    raise kind(word["problem"])
