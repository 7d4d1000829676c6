"""The order in which items come into question for a customer, produced only as far as somebody looks."""

from collections.abc import Iterable, Iterator
from itertools import chain
from struct import Struct
from typing import cast

from models.candidates import EMPTY_LIST, NO_EVIDENCE, CandidateArray, CandidateList
from models.item_model import EVERYONE, ItemModel

CONTEXT_SOURCE = 0
"""Stands as ``source`` where an item comes into question only because it goes with the context."""

_RECORD = Struct("<IeBB")  # as CANDIDATE says it in numpy's words


Ranked = tuple[int, float, int, int]
"""Is one item in question: slot, score, and source and evidence as in :data:`models.candidates.CANDIDATE`.

A bare tuple, as hundreds are made for each answer.
"""


def unpacked(candidates: CandidateArray) -> Iterator[Ranked]:
    """Give candidates one by one as they are looked at, each for a fraction of what numpy takes to make a tuple."""
    return cast("Iterator[Ranked]", _RECORD.iter_unpack(candidates.tobytes()))


def stream_candidates(
    own: CandidateList | None, model: ItemModel, segment: str, context_strengths: dict[int, float]
) -> Iterator[Ranked]:
    """Give items best first: the customer's own list merged with what goes with the context, then the shared lists.

    Scores never rise along the way: each list is scaled to end where the next one begins. An item may come twice.
    """
    floor: float | None = None
    if context_strengths:
        merged = _merged(own.candidates if own is not None else EMPTY_LIST.candidates, context_strengths)
        yield from merged
        floor = merged[-1][1]
    elif own is not None and len(own.candidates):
        yield from unpacked(own.candidates)
        floor = float(own.candidates["score"][-1])
    for name in dict.fromkeys((segment, EVERYONE)):
        shared = model.shared_lists.get(name)
        if shared is not None and len(shared):
            yield from unpacked(shared) if floor is None else _below(floor, shared)
            last = float(shared["score"][-1])
            floor = last if floor is None else _scaled(floor, last, float(shared["score"][0]))


class Replay:
    """Lets several slates walk one lazy stream from its beginning."""

    def __init__(self, stream: Iterator[Ranked]) -> None:
        self._stream = stream
        self._seen: list[Ranked] = []

    def __iter__(self) -> Iterator[Ranked]:
        return chain(tuple(self._seen), self._fresh())

    def _fresh(self) -> Iterator[Ranked]:
        for ranked in self._stream:
            self._seen.append(ranked)
            yield ranked


def context_strengths(model: ItemModel, context_rows: Iterable[int]) -> dict[int, float]:
    """Give the items that go with the context and how much (the strongest tie counts), 0 … 1."""
    strengths: dict[int, float] = {}
    for row in context_rows:
        rows, scores = model.neighbors_of(row)
        for neighbor, strength in zip(rows.tolist(), scores.tolist(), strict=True):
            if strength > strengths.get(neighbor, 0.0):
                strengths[neighbor] = strength
    return strengths


def _below(floor: float, candidates: CandidateArray) -> Iterator[Ranked]:
    top = float(candidates["score"][0])
    for slot, score, source, evidence in unpacked(candidates):
        yield slot, _scaled(floor, score, top), source, evidence


def _scaled(floor: float, score: float, top: float) -> float:
    if floor > 0 and top > 0:
        return floor * max(score, 0.0) / top
    return floor - (top - score)


def _merged(candidates: CandidateArray, strengths: dict[int, float]) -> list[Ranked]:
    """Add to each candidate's score its tie to the context, as a share of the best score, and sort by the sum."""
    top = (abs(float(candidates["score"][0])) if len(candidates) else 0.0) or 1.0
    merged: dict[int, Ranked] = {
        slot: (slot, strength * top, CONTEXT_SOURCE, NO_EVIDENCE) for slot, strength in strengths.items()
    }
    for slot, score, source, evidence in unpacked(candidates):
        merged[slot] = (slot, score + strengths.get(slot, 0.0) * top, source, evidence)
    return sorted(merged.values(), key=lambda ranked: (-ranked[1], ranked[0]))
