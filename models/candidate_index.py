"""Candidate lists turned around: for an item, the customers whose lists hold it, and how high.

A candidate takes four bytes here: the number of its customer within a block of 65,536 customers, and its score as an
unsigned number that sorts as the score does. Blocks are turned one at a time, so that building takes little more memory
than what is built.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import PreconditionError

BLOCK = 1 << 16
"""Customers in one block: as many as two bytes can number."""

_SIGN = np.uint16(0x8000)


class Columns(NamedTuple):
    """Holds lists of several customers, end to end.

    ``digests`` (n,) uint64 and ``counts`` (n,) of candidates are by customer, ``rows`` (m,) uint32 and ``scores`` (m,)
    float16 by candidate; m is the sum of the counts.
    """

    customer_ids: Sequence[bytes]
    digests: NDArray[np.uint64]
    counts: NDArray[np.int64]
    rows: NDArray[np.uint32]
    scores: NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Holds customers, best first: their ``positions`` (n,) in the index, ``scores`` (n,) and ``digests`` (n,).

    Of customers with the same score the one with the lower digest comes first: no order that means anything.
    """

    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    digests: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Is one block: ``ends`` (n,) of the ids in ``names``; ``bounds`` (items + 1,) of each item's customers."""

    names: bytes
    ends: NDArray[np.uint32]
    digests: NDArray[np.uint64]
    bounds: NDArray[np.int32]
    customers: NDArray[np.uint16]
    scores: NDArray[np.uint16]

    def best(self, rows: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Give by customer (n,) the best score of the items, 0 for who has none of them."""
        best = np.zeros(len(self.ends), dtype=np.uint16)
        starts, ends = self.bounds[rows], self.bounds[rows + 1]
        if len(rows) == 1:
            best[self.customers[starts[0] : ends[0]]] = self.scores[starts[0] : ends[0]]
        else:
            places = _ranges(starts, ends)
            np.maximum.at(best, self.customers[places], self.scores[places])
        return best

    @property
    def size(self) -> int:
        """Give the bytes that it takes."""
        arrays = (self.ends, self.digests, self.bounds, self.customers, self.scores)
        return len(self.names) + sum(array.nbytes for array in arrays)


class CandidateIndex:
    """Finds customers by items. Immutable; :class:`CandidateIndexBuilder` makes it."""

    def __init__(self, blocks: Sequence[_Block]) -> None:
        self._blocks = blocks

    def __len__(self) -> int:
        return sum(len(block.ends) for block in self._blocks)

    @property
    def size(self) -> int:
        """Give the bytes of memory that it takes."""
        return sum(block.size for block in self._blocks)

    def rank(self, rows: NDArray[np.uint32]) -> Ranking:
        """Rank the customers whose lists hold one of the items ``rows`` (n,), each by the best of these items."""
        wanted = rows.astype(np.int64)
        positions, scores, digests = [], [], []
        for number, block in enumerate(self._blocks):
            best = block.best(wanted)
            found = np.flatnonzero(best)
            positions.append(found + number * BLOCK)
            scores.append(best[found])
            digests.append(block.digests[found])
        if not positions:
            return Ranking(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.uint64))
        together, digest = np.concatenate(scores), np.concatenate(digests)
        order = np.lexsort((digest, ~together))
        # A customer who was taken twice stands there twice in a row.
        order = order[np.concatenate(([True], np.diff(digest[order]) != 0))] if len(order) else order
        return Ranking(np.concatenate(positions)[order], _scores_of(together[order]), digest[order])

    def customer_id(self, position: int) -> str:
        """Give the id of the customer at a position."""
        block, place = self._blocks[position // BLOCK], position % BLOCK
        start = int(block.ends[place - 1]) if place else 0
        return block.names[start : int(block.ends[place])].decode()


class CandidateIndexBuilder:
    """Takes lists, in whatever order and portions, and turns them around."""

    def __init__(self, item_count: int) -> None:
        self._item_count = item_count
        self._blocks: list[_Block] = []
        self._waiting: list[Columns] = []
        self._count = 0

    def add(self, lists: Columns) -> None:
        """Take some lists. PreconditionError when one names an item that the model lacks, or has no finite score."""
        if len(lists.rows) and (lists.rows.max() >= self._item_count or not np.isfinite(lists.scores).all()):
            raise PreconditionError("there are lists that do not belong to the model: publish it again")
        start, counted = 0, np.concatenate(([0], np.cumsum(lists.counts)))
        while start < len(lists.customer_ids):
            end = min(len(lists.customer_ids), start + BLOCK - self._count)
            candidates = slice(counted[start], counted[end])
            customers = slice(start, end)
            self._waiting.append(
                Columns(
                    lists.customer_ids[customers],
                    lists.digests[customers],
                    lists.counts[customers],
                    lists.rows[candidates],
                    lists.scores[candidates],
                )
            )
            self._count += end - start
            start = end
            if self._count == BLOCK:
                self._turn()

    def finish(self) -> CandidateIndex:
        """Give the index of everything that was taken."""
        if self._count:
            self._turn()
        return CandidateIndex(tuple(self._blocks))

    def _turn(self) -> None:
        """Turn what waits into a block. scipy's CSR → CSC is a counting sort in C."""
        # Takes 15 MB and 0.4 s, which servers that are asked for no audience do without.
        from scipy.sparse import csr_array  # noqa: PLC0415

        waiting, self._waiting, self._count = self._waiting, [], 0
        names = [name for lists in waiting for name in lists.customer_ids]
        counts = np.concatenate([lists.counts for lists in waiting])
        keys = _keys_of(np.concatenate([lists.scores for lists in waiting]))
        rows = np.concatenate([lists.rows for lists in waiting]).astype(np.int32)
        bounds = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        turned = csr_array((keys, rows, bounds), shape=(len(names), self._item_count)).tocsc()
        self._blocks.append(
            _Block(
                names=b"".join(names),
                ends=np.cumsum([len(name) for name in names]).astype(np.uint32),
                digests=np.concatenate([lists.digests for lists in waiting]),
                bounds=np.asarray(turned.indptr, dtype=np.int32),
                customers=np.asarray(turned.indices).astype(np.uint16),
                scores=np.asarray(turned.data, dtype=np.uint16),
            )
        )


def _ranges(starts: NDArray[np.int32], ends: NDArray[np.int32]) -> NDArray[np.int64]:
    """Give all numbers of the half-open ranges, one range after the other."""
    lengths = (ends - starts).astype(np.int64)
    before = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return np.repeat(starts.astype(np.int64) - before, lengths) + np.arange(lengths.sum())


def _keys_of(scores: NDArray[np.float16]) -> NDArray[np.uint16]:
    """Give numbers above 0 that sort as the scores do: half floats sort by their bits, but for the sign."""
    bits = scores.view(np.uint16)
    bits = np.where(bits == _SIGN, np.uint16(0), bits)  # -0 is 0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _scores_of(keys: NDArray[np.uint16]) -> NDArray[np.float32]:
    bits = np.where(keys & _SIGN, keys ^ _SIGN, ~keys)
    return bits.astype(np.uint16).view(np.float16).astype(np.float32)
