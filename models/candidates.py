"""Candidate lists: for one customer, the items worth ranking, best first, each with its source and evidence."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.outlook import OutlookArray, pack_outlooks

CANDIDATE = np.dtype([("row", "<u4"), ("score", "<f2"), ("source", "u1"), ("evidence", "u1")])
"""One candidate in 8 bytes: item row, score, source (with BOUGHT_FLAG), index into the evidence rows or NO_EVIDENCE."""

BOUGHT_FLAG = 0x80
"""Set in ``source`` when the customer had bought the item before the model was trained."""

NO_EVIDENCE = 0xFF
"""Stands in ``evidence`` when the candidate rests on no single item."""

VIEWED_FLAG = 0x8000_0000
"""Set in an evidence row when the customer only viewed (or carted) that item; clear when it was bought."""

MAXIMAL_EVIDENCE = 16
"""How many distinct evidence rows one list may carry."""


class Source(IntEnum):
    """Names the candidate source that speaks strongest for a candidate. Codes are stored: never renumber."""

    REBUY = 1
    COLLABORATIVE = 2
    NEIGHBORS = 3
    POPULAR = 4
    SEGMENT = 5


CandidateArray = NDArray[Any]
"""A structured array of dtype CANDIDATE."""


@dataclass(frozen=True, slots=True)
class CandidateList:
    """Holds one customer's candidates, best first.

    ``candidates`` has shape (n,) and dtype CANDIDATE; ``evidence_rows`` has shape (m ≤ 16,) and
    dtype uint32: item rows, with VIEWED_FLAG where they were viewed and not bought. ``outlook`` is what the training
    expects of the customer, as :func:`~models.outlook.pack_outlooks` packs it; 0 for nothing.
    """

    candidates: CandidateArray
    evidence_rows: NDArray[np.uint32]
    outlook: int = 0


@dataclass(frozen=True, slots=True)
class CandidateTable:
    """Holds the lists of many customers in rectangular arrays.

    ``candidates`` (n, k) CANDIDATE, ``counts`` (n,) uint16 of valid candidates per customer,
    ``evidence_rows`` (n, m) uint32, ``evidence_counts`` (n,) uint8; ``outlooks`` (n,) OUTLOOK, None where nobody
    worked them out.
    """

    customer_ids: list[str]
    candidates: CandidateArray
    counts: NDArray[np.uint16]
    evidence_rows: NDArray[np.uint32]
    evidence_counts: NDArray[np.uint8]
    outlooks: OutlookArray | None = None

    def __len__(self) -> int:
        return len(self.customer_ids)

    def only(self, kept: NDArray[np.bool_]) -> "CandidateTable":
        """Give the table of those customers for whom ``kept``, shape (n,), is true."""
        return CandidateTable(
            [customer_id for customer_id, keep in zip(self.customer_ids, kept, strict=True) if keep],
            self.candidates[kept],
            self.counts[kept],
            self.evidence_rows[kept],
            self.evidence_counts[kept],
            None if self.outlooks is None else self.outlooks[kept],
        )

    def list_at(self, index: int) -> CandidateList:
        """Give the list of the customer at ``index`` as views into the table."""
        return CandidateList(
            self.candidates[index, : self.counts[index]],
            self.evidence_rows[index, : self.evidence_counts[index]],
            0 if self.outlooks is None else int(pack_outlooks(self.outlooks[index : index + 1])[0]),
        )


EMPTY_LIST = CandidateList(np.empty(0, dtype=CANDIDATE), np.empty(0, dtype=np.uint32))
"""The list of somebody for whom nothing was computed."""
