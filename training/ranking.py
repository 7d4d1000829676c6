"""From united candidates to lists: the most probable first, some room kept for what is new to the customer."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.candidates import BOUGHT_FLAG, CANDIDATE, MAXIMAL_EVIDENCE, NO_EVIDENCE, VIEWED_FLAG, CandidateTable, Source
from training.blend import Blend
from training.chunk import chunk_of, falling_order
from training.config import TrainingConfiguration
from training.features import BOUGHT, NEW, VIEWED, Candidates, Cutoff
from training.sources.source import NOTHING, Proposals

CUSTOMERS_PER_CHUNK = 256
"""Keeps the arrays of one thread at some tens of MB."""


@dataclass(frozen=True, slots=True)
class RankedLists:
    """Holds the lists of n customers, best first: ``item_rows`` (n, k) int64, NOTHING after the last.

    ``probabilities`` (n, k) float32, ``sources`` (n, k) uint8 with BOUGHT_FLAG, ``evidence`` (n, k) int64 or NOTHING.
    """

    item_rows: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    sources: NDArray[np.uint8]
    evidence: NDArray[np.int64]

    @classmethod
    def none_for(cls, customers: int, size: int) -> "RankedLists":
        """Give room for lists that holds nothing yet."""
        shape = (customers, size)
        return cls(
            np.full(shape, NOTHING, dtype=np.int64),
            np.zeros(shape, dtype=np.float32),
            np.zeros(shape, dtype=np.uint8),
            np.full(shape, NOTHING, dtype=np.int64),
        )


class Ranker(Protocol):
    """Makes the lists of a few customers at a time. Deterministic, and each customer by themselves."""

    def rank_chunk(self, customer_rows: NDArray[np.int64]) -> RankedLists:
        """Make the lists of at most CUSTOMERS_PER_CHUNK customers, in their order."""


@dataclass(frozen=True, slots=True)
class ListMaker:
    """Makes lists for any number of customers with a ranker, on as many threads as configured."""

    ranker: Ranker
    configuration: TrainingConfiguration

    def rank(self, customer_rows: NDArray[np.int64]) -> RankedLists:
        """Make the lists of some customers, in their order."""
        parts = list(self._ranked_chunks(customer_rows))
        return RankedLists(
            np.concatenate([part.item_rows for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.sources for part in parts]),
            np.concatenate([part.evidence for part in parts]),
        )

    def table(self, customer_rows: NDArray[np.int64], customer_ids: list[str]) -> CandidateTable:
        """Make the lists of some customers as they are stored."""
        count, size = len(customer_rows), self.configuration.list_size
        candidates = np.zeros((count, size), dtype=CANDIDATE)
        counts = np.zeros(count, dtype=np.uint16)
        evidence_rows = np.zeros((count, MAXIMAL_EVIDENCE), dtype=np.uint32)
        evidence_counts = np.zeros(count, dtype=np.uint8)
        start = 0
        for lists in self._ranked_chunks(customer_rows):
            part = slice(start, start + len(lists.item_rows))
            start = part.stop
            filled = lists.item_rows != NOTHING
            counts[part] = filled.sum(axis=1)
            candidates["row"][part] = np.where(filled, lists.item_rows, 0)
            candidates["score"][part] = lists.probabilities
            candidates["source"][part] = lists.sources
            rows, places, evidence_counts[part] = pack_evidence(lists.evidence)
            evidence_rows[part] = rows
            candidates["evidence"][part] = np.where(filled, places, 0)
        return CandidateTable(customer_ids, candidates, counts, evidence_rows, evidence_counts)

    def _ranked_chunks(self, customer_rows: NDArray[np.int64]) -> Iterator[RankedLists]:
        starts = range(0, len(customer_rows), CUSTOMERS_PER_CHUNK)
        chunks = (customer_rows[start : start + CUSTOMERS_PER_CHUNK] for start in starts)
        with ThreadPoolExecutor(self.configuration.resources.threads) as threads:
            yield from threads.map(self.ranker.rank_chunk, chunks)


@dataclass(frozen=True, slots=True)
class BlendRanker:
    """Ranks what a cutoff's sources propose with a blend."""

    cutoff: Cutoff
    blend: Blend
    configuration: TrainingConfiguration

    def rank_chunk(self, customer_rows: NDArray[np.int64]) -> RankedLists:
        """Make the lists of a few customers."""
        chunk = chunk_of(self.cutoff.interactions, customer_rows)
        candidates, proposals = self.cutoff.unite(chunk)
        probabilities = self.blend.probabilities(candidates)
        size = self.configuration.list_size
        is_new = candidates.groups == NEW
        kept, owners, places = choose(candidates.owners, is_new, probabilities, size, self.configuration.room_for_new())
        lists = RankedLists.none_for(len(chunk), size)
        lists.item_rows[owners, places] = candidates.item_rows[kept]
        lists.probabilities[owners, places] = probabilities[kept]
        sources, evidence = self._reasons(candidates, proposals, kept)
        lists.sources[owners, places] = sources
        lists.evidence[owners, places] = evidence
        return lists

    def _reasons(
        self, candidates: Candidates, proposals: Sequence[Proposals], kept: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Name the source in whose own proposals a new item stands first; history speaks for what is in it."""
        names = [source.source for source in self.cutoff.sources]
        neighbors = names.index(Source.NEIGHBORS)
        places = candidates.places[kept].astype(np.int64)
        groups, rows, owners = candidates.groups[kept], candidates.item_rows[kept], candidates.owners[kept]
        first = np.argmin(np.where(places == NOTHING, 2**15, places), axis=1)
        sources = np.array(names, dtype=np.uint8)[first]
        sources[groups == BOUGHT] = Source.REBUY | BOUGHT_FLAG
        sources[groups == VIEWED] = Source.NEIGHBORS
        evidence = np.full(len(kept), NOTHING, dtype=np.int64)
        speaks = (groups == NEW) & (sources == Source.NEIGHBORS)
        evidence[speaks] = proposals[neighbors].evidence[owners[speaks], places[speaks, neighbors]]
        evidence[groups == VIEWED] = rows[groups == VIEWED] | VIEWED_FLAG
        return sources, evidence


def choose(
    owners: NDArray[np.int64], is_new: NDArray[np.bool_], scores: NDArray[np.float32], size: int, room_for_new: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Choose each owner's ``size`` highest candidates, ``room_for_new`` new ones among them if there are.

    ``owners`` (c,) ascend. Gives three aligned arrays: which candidates, their owners, their 0-based places; equal ones
    as they stand.
    """
    order = falling_order(owners, scores)
    owners = owners[order]
    is_new = is_new[order]
    favoured = is_new & (_place_within(owners, is_new) < room_for_new)
    favoured_counts = np.bincount(owners[favoured], minlength=int(owners[-1]) + 1 if len(owners) else 0)
    kept = favoured | (_place_within(owners, ~favoured) < (size - favoured_counts)[owners])
    order, owners = order[kept], owners[kept]
    return order, owners, _place_within(owners, np.ones(len(owners), dtype=bool))


def pack_evidence(
    evidence: NDArray[np.int64],
) -> tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint8]]:
    """Keep the first MAXIMAL_EVIDENCE distinct values of each row of (n, k).

    Gives them (n, MAXIMAL_EVIDENCE), for every place its index among them or NO_EVIDENCE (n, k), and their counts (n,).
    """
    count, width = evidence.shape
    keys = (evidence.astype(np.uint64) << np.uint64(8)) | np.arange(width, dtype=np.uint64)
    keys.sort(axis=1)
    values, positions = keys >> np.uint64(8), (keys & np.uint64(0xFF)).astype(np.int64)
    starts = np.ones(keys.shape, dtype=bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    named = positions_named(evidence, positions)
    group_start = np.maximum.accumulate(np.where(starts, np.arange(width), 0), axis=1)
    first_position = np.take_along_axis(positions, group_start, axis=1)
    is_first = np.zeros(keys.shape, dtype=bool)
    np.put_along_axis(is_first, positions, starts & named, axis=1)
    index_at = np.cumsum(is_first, axis=1) - 1
    index = np.take_along_axis(index_at, first_position, axis=1)
    index[~named | (index >= MAXIMAL_EVIDENCE)] = NO_EVIDENCE
    places = np.empty(keys.shape, dtype=np.uint8)
    np.put_along_axis(places, positions, index.astype(np.uint8), axis=1)
    counts = np.minimum(is_first.sum(axis=1), MAXIMAL_EVIDENCE).astype(np.uint8)
    rows = np.zeros((count, MAXIMAL_EVIDENCE), dtype=np.uint32)
    owner, place = np.nonzero(is_first & (index_at < MAXIMAL_EVIDENCE))
    rows[owner, index_at[owner, place]] = evidence[owner, place]
    return rows, places, counts


def positions_named(evidence: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which of these positions of each row hold evidence."""
    return np.take_along_axis(evidence != NOTHING, positions, axis=1)


def _place_within(owners: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count, for each element, the counted elements of the same owner that stand before it."""
    before: NDArray[np.int64] = np.cumsum(counted) - counted
    is_start = np.ones(len(owners), dtype=bool)
    is_start[1:] = owners[1:] != owners[:-1]
    starts = np.maximum.accumulate(np.where(is_start, np.arange(len(owners)), 0)) if len(owners) else before
    return before - before[starts]
