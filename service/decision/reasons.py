"""Why an item was chosen: a code and the items that it rests on. Never invented."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum


class ReasonCode(IntEnum):
    """Names a why. The numbers are those of ``dangol.v1.ReasonCode``; a test holds them together."""

    BOUGHT_BEFORE = 1
    BOUGHT = 2
    VIEWED = 3
    POPULAR_WITH_SIMILAR_CUSTOMERS = 4
    POPULAR_IN_SEGMENT = 5
    POPULAR = 6
    GOES_WITH_CONTEXT = 7
    CAMPAIGN = 8
    FALLBACK = 9


@dataclass(slots=True, unsafe_hash=True)
class Reason:
    """Is one why with the ids of the items that it rests on; never changed once it is made.

    ``encoded`` is room for what is made of it for answers, once; it is empty until then.
    """

    code: ReasonCode
    evidence_item_ids: tuple[str, ...] = ()
    encoded: bytes = field(default=b"", compare=False, repr=False)


POPULAR = (Reason(ReasonCode.POPULAR),)
POPULAR_IN_SEGMENT = (Reason(ReasonCode.POPULAR_IN_SEGMENT),)
POPULAR_WITH_SIMILAR_CUSTOMERS = (Reason(ReasonCode.POPULAR_WITH_SIMILAR_CUSTOMERS),)
CAMPAIGN = (Reason(ReasonCode.CAMPAIGN),)
FALLBACK = (Reason(ReasonCode.FALLBACK),)

_REMEMBERED = 65_536


class SingleReasons(dict[int, tuple[Reason, ...]]):
    """Gives by slot the one reason that rests on that item alone; the same items come again and again."""

    def __init__(self, code: ReasonCode, ids: Sequence[str]) -> None:
        """``ids`` gives the id of each slot."""
        super().__init__()
        self._code = code
        self._ids = ids

    def __missing__(self, slot: int) -> tuple[Reason, ...]:
        if len(self) >= _REMEMBERED:
            self.clear()
        reasons = self[slot] = (Reason(self._code, (self._ids[slot],)),)
        return reasons
