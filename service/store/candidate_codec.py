"""A candidate list as the bytes under one key. docs/redis-layout.md gives the layout byte by byte."""

import itertools
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from models.candidate_index import Columns
from models.candidates import CANDIDATE, MAXIMAL_EVIDENCE, CandidateList, CandidateTable
from models.errors import InvalidInputError
from models.outlook import pack_outlooks

FORMAT = 1
HEADER = np.dtype(
    [("format", "u1"), ("evidence_count", "u1"), ("count", "<u2"), ("outlook", "<u4"), ("digest", "u1", (8,))]
)
HEADER_SIZE = HEADER.itemsize
MAXIMAL_CANDIDATES = 1_000
_BLOCK = 4_096
"""Customers encoded at a time: their rectangle stays in the processor's cache."""
_DIGEST = slice(8, 16)
_OUTLOOK = slice(4, 8)
_CANDIDATE_SIZE = CANDIDATE.itemsize
_EVIDENCE = np.dtype("<u4")
_WORD = _EVIDENCE.itemsize
"""Everything in a value begins at a multiple of so many bytes."""


def digest_of(customer_id: str) -> bytes:
    """Give the 8 bytes by which a value shows whose it is: BLAKE2b of the id's UTF-8."""
    return blake2b(customer_id.encode(), digest_size=8).digest()


def encode_table(table: CandidateTable) -> Iterator[bytes]:
    """Give the value of every customer of a table, in its order.

    Raises InvalidInputError before the first value when a list is longer than a value may hold, counts more than
    the table holds, or has a score that is not finite.
    """
    _check(table)
    return itertools.chain.from_iterable(
        _encode_block(table, slice(start, start + _BLOCK)) for start in range(0, len(table), _BLOCK)
    )


def encode_list(customer_id: str, candidates: CandidateList) -> bytes:
    """Give the value of one customer. InvalidInputError as :func:`encode_table`."""
    table = CandidateTable(
        [customer_id],
        candidates.candidates[np.newaxis],
        np.array([len(candidates.candidates)], dtype=np.uint16),
        candidates.evidence_rows[np.newaxis],
        np.array([len(candidates.evidence_rows)], dtype=np.uint8),
    )
    value = next(encode_table(table))
    return value[: _OUTLOOK.start] + candidates.outlook.to_bytes(4, "little") + value[_OUTLOOK.stop :]


def decode(value: bytes, digest: bytes) -> CandidateList | None:
    """Read a value as views into it. None when it is damaged or not of the customer with this digest."""
    size = len(value)
    if size < HEADER_SIZE or value[0] != FORMAT or value[_DIGEST] != digest:
        return None
    evidence_count = value[1]
    count = value[2] | value[3] << 8
    start = HEADER_SIZE + 4 * evidence_count
    if evidence_count > MAXIMAL_EVIDENCE or size != start + _CANDIDATE_SIZE * count:
        return None
    return CandidateList(
        np.frombuffer(value, CANDIDATE, count, start),
        np.frombuffer(value, _EVIDENCE, evidence_count, HEADER_SIZE),
        int.from_bytes(value[_OUTLOOK], "little"),
    )


def decode_columns(customer_ids: Sequence[bytes], values: Sequence[bytes | None]) -> Columns:
    """Read the values of many customers at once, without their evidence; what is absent or damaged is passed over.

    Whose a value is is not checked, which takes longer than everything else: who shows a customer reads them again.
    """
    pairs = [
        (customer_id, value)
        for customer_id, value in zip(customer_ids, values, strict=True)
        if value is not None and len(value) >= HEADER_SIZE and len(value) % _WORD == 0
    ]
    sizes = np.fromiter((len(value) // _WORD for _, value in pairs), np.int64, len(pairs))
    words = np.frombuffer(b"".join([value for _, value in pairs]), "<u4")
    starts = np.cumsum(sizes) - sizes
    head = words[starts]
    evidence_counts, counts = (head >> 8 & 0xFF).astype(np.int64), (head >> 16).astype(np.int64)
    whole = (head & 0xFF == FORMAT) & (evidence_counts <= MAXIMAL_EVIDENCE)
    whole &= sizes == HEADER_SIZE // _WORD + evidence_counts + 2 * counts
    starts, evidence_counts, counts = starts[whole], evidence_counts[whole], counts[whole]
    before = np.cumsum(counts) - counts
    first = starts + HEADER_SIZE // _WORD + evidence_counts
    places = np.repeat(first - 2 * before, counts) + 2 * np.arange(counts.sum())
    return Columns(
        [customer_id for (customer_id, _), kept in zip(pairs, whole.tolist(), strict=True) if kept],
        words[starts + 2].astype(np.uint64) | words[starts + 3].astype(np.uint64) << np.uint64(32),
        counts,
        words[places],
        (words[places + 1] & 0xFFFF).astype(np.uint16).view(np.float16),
    )


def _encode_block(table: CandidateTable, block: slice) -> Iterator[bytes]:
    """Lay some customers out as one rectangle of bytes, which numpy does at once, and cut it into values."""
    customer_ids = table.customer_ids[block]
    evidence_counts, counts = table.evidence_counts[block], table.counts[block]
    width, evidence_width = table.candidates.shape[1], table.evidence_rows.shape[1]
    row = np.dtype(
        [("header", HEADER), ("evidence", _EVIDENCE, (evidence_width,)), ("candidates", CANDIDATE, (width,))]
    )
    rows = np.zeros(len(customer_ids), dtype=row)
    header = rows["header"]
    header["format"] = FORMAT
    header["evidence_count"] = evidence_counts
    header["count"] = counts
    if table.outlooks is not None:
        header["outlook"] = pack_outlooks(table.outlooks[block])
    digests = b"".join([digest_of(customer_id) for customer_id in customer_ids])
    header["digest"] = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 8)
    rows["evidence"] = table.evidence_rows[block]
    rows["candidates"] = table.candidates[block]
    return _slices(rows, evidence_counts, counts, evidence_width)


def _slices(
    rows: NDArray[np.void], evidence_counts: NDArray[np.uint8], counts: NDArray[np.uint16], evidence_width: int
) -> Iterator[bytes]:
    """Cut each customer's bytes out of the rectangular rows, leaving out what is not valid."""
    whole = rows.tobytes()
    size = rows.dtype.itemsize
    candidates_start = HEADER_SIZE + 4 * evidence_width
    evidence_ends = (HEADER_SIZE + 4 * evidence_counts.astype(np.int64)).tolist()
    candidate_ends = (candidates_start + _CANDIDATE_SIZE * counts.astype(np.int64)).tolist()
    start = 0
    for evidence_end, candidate_end in zip(evidence_ends, candidate_ends, strict=True):
        if evidence_end == candidates_start:
            yield whole[start : start + candidate_end]
        else:
            yield whole[start : start + evidence_end] + whole[start + candidates_start : start + candidate_end]
        start += size


def _check(table: CandidateTable) -> None:
    count, width = table.candidates.shape
    evidence_width = table.evidence_rows.shape[1]
    lengths = {len(table), count, len(table.counts), len(table.evidence_rows), len(table.evidence_counts)}
    if len(lengths) != 1 or table.candidates.dtype != CANDIDATE:
        raise InvalidInputError("lists", "the sizes or types of the arrays disagree")
    if width > MAXIMAL_CANDIDATES or evidence_width > MAXIMAL_EVIDENCE:
        raise InvalidInputError("lists", f"a list holds up to {MAXIMAL_CANDIDATES} candidates and 16 evidence items")
    if np.any(table.counts > width) or np.any(table.evidence_counts > evidence_width):
        raise InvalidInputError("lists", "a list counts more than it holds")
    valid = np.arange(width) < table.counts[:, np.newaxis]
    if not np.isfinite(table.candidates["score"][valid]).all():
        raise InvalidInputError("lists", "a score is not finite")
