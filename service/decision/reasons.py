"""Why an item was chosen: a code and the items that it rests on. Never invented."""

from enum import IntEnum
from typing import NamedTuple


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


class Reason(NamedTuple):
    """Is one why with the ids of the items that it rests on."""

    code: ReasonCode
    evidence_item_ids: tuple[str, ...] = ()


POPULAR = (Reason(ReasonCode.POPULAR),)
POPULAR_IN_SEGMENT = (Reason(ReasonCode.POPULAR_IN_SEGMENT),)
POPULAR_WITH_SIMILAR_CUSTOMERS = (Reason(ReasonCode.POPULAR_WITH_SIMILAR_CUSTOMERS),)
CAMPAIGN = (Reason(ReasonCode.CAMPAIGN),)
FALLBACK = (Reason(ReasonCode.FALLBACK),)
