"""The immutable bijection between opaque ids and dense rows."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidInputError


class Vocabulary:
    """Maps ids to rows 0 … n-1 and back. Rows never leave ``models`` and ``service.store``."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = tuple(ids)
        self._rows = {id_: row for row, id_ in enumerate(self._ids)}
        if len(self._rows) != len(self._ids):
            raise InvalidInputError("vocabulary", "an id stands in it twice")

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._rows

    def sharing(self, known: Iterable[str]) -> "Vocabulary":
        """Give an equal vocabulary, made of the very texts in ``known`` where they are equal: kept once."""
        texts = {id_: id_ for id_ in known}
        return Vocabulary([texts.get(id_, id_) for id_ in self._ids])

    def id_of(self, row: int) -> str:
        """Give the id of a row. IndexError outside 0 … n-1."""
        return self._ids[row]

    def row_of(self, id_: str) -> int | None:
        """Give the row of an id, or None when the id is not known."""
        return self._rows.get(id_)


def pack_ids(ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Lay ids out for an npz file without pickle: their UTF-8 bytes end to end, and n+1 offsets into them."""
    encoded = [id_.encode() for id_ in ids]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(part) for part in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets


def unpack_ids(utf8: NDArray[np.uint8], offsets: NDArray[np.int64]) -> list[str]:
    """Undo :func:`pack_ids`. InvalidInputError when the offsets do not fit the bytes or the bytes are not UTF-8."""
    if (
        offsets.ndim != 1
        or len(offsets) == 0
        or offsets[0] != 0
        or offsets[-1] != len(utf8)
        or np.any(np.diff(offsets) < 0)
    ):
        raise InvalidInputError("id offsets", "do not fit the bytes of the ids")
    whole = utf8.tobytes()
    bounds = offsets.tolist()
    try:
        return [whole[start:stop].decode() for start, stop in itertools.pairwise(bounds)]
    except UnicodeDecodeError as error:
        raise InvalidInputError("ids", "are not UTF-8") from error
