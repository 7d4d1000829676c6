"""The item side of a model: what every server process holds in memory while it serves a generation."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.candidates import CANDIDATE, CandidateArray
from models.errors import ArtifactError, InvalidInputError
from models.propensity import Propensity
from models.vocabulary import Vocabulary, pack_ids, unpack_ids

EVERYONE = ""
"""Names the shared list that serves whoever has neither a list of their own nor a known segment."""


@dataclass(frozen=True, slots=True)
class ItemModel:
    """Holds the items of a model.

    ``popularity`` (n,) float32 in 0 … 1, 1 for the item most popular now; ``neighbor_rows`` (n, m) uint32 and
    ``neighbor_scores`` (n, m) float32 in 0 … 1, best first, of which the first ``neighbor_counts`` (n,) uint16 are
    valid; ``shared_lists`` maps a segment, or EVERYONE, to its candidates; ``propensity`` says what the scores of
    customers' lists mean, None where nobody measured it.
    """

    vocabulary: Vocabulary
    popularity: NDArray[np.float32]
    neighbor_rows: NDArray[np.uint32]
    neighbor_scores: NDArray[np.float32]
    neighbor_counts: NDArray[np.uint16]
    shared_lists: Mapping[str, CandidateArray]
    propensity: Propensity | None = None

    def neighbors_of(self, row: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Give the rows most alike to an item and how much, best first."""
        count = self.neighbor_counts[row]
        return self.neighbor_rows[row, :count], self.neighbor_scores[row, :count]


def encode_item_model(model: ItemModel) -> bytes:
    """Write an item model as the bytes of an npz file; the same model gives the same bytes."""
    utf8, offsets = pack_ids(list(model.vocabulary))
    segments = sorted(model.shared_lists)
    segment_utf8, segment_offsets = pack_ids(segments)
    lengths = np.array([len(model.shared_lists[segment]) for segment in segments], dtype=np.int64)
    lists = [model.shared_lists[segment] for segment in segments]
    optional: dict[str, Any] = {}
    if model.propensity is not None:
        optional = {"propensity_scores": model.propensity.scores, "propensity_chances": model.propensity.chances}
    buffer = io.BytesIO()
    np.savez(
        buffer,
        item_ids=utf8,
        item_id_offsets=offsets,
        popularity=model.popularity,
        neighbor_rows=model.neighbor_rows,
        neighbor_scores=model.neighbor_scores,
        neighbor_counts=model.neighbor_counts,
        segments=segment_utf8,
        segment_offsets=segment_offsets,
        segment_lengths=lengths,
        segment_candidates=np.concatenate(lists) if lists else np.empty(0, dtype=CANDIDATE),
        **optional,
    )
    return buffer.getvalue()


def decode_item_model(content: bytes, name: str = "items.npz") -> ItemModel:
    """Read what :func:`encode_item_model` wrote. ArtifactError naming ``name`` when it is damaged or inconsistent."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            model = _assemble(dict(arrays))
    except (InvalidInputError, ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(name, f"cannot be read as an item model ({error})") from error
    _check(model, name)
    return model


def _assemble(arrays: dict[str, NDArray[np.generic]]) -> ItemModel:
    segments = unpack_ids(arrays["segments"].astype(np.uint8), arrays["segment_offsets"].astype(np.int64))
    bounds = np.cumsum(arrays["segment_lengths"].astype(np.int64))[:-1]
    lists = np.split(arrays["segment_candidates"], bounds) if segments else []
    return ItemModel(
        vocabulary=Vocabulary(
            unpack_ids(arrays["item_ids"].astype(np.uint8), arrays["item_id_offsets"].astype(np.int64))
        ),
        popularity=arrays["popularity"].astype(np.float32, copy=False),
        neighbor_rows=arrays["neighbor_rows"].astype(np.uint32, copy=False),
        neighbor_scores=arrays["neighbor_scores"].astype(np.float32, copy=False),
        neighbor_counts=arrays["neighbor_counts"].astype(np.uint16, copy=False),
        shared_lists=dict(zip(segments, lists, strict=True)),
        propensity=_propensity_in(arrays),
    )


def _propensity_in(arrays: dict[str, NDArray[np.generic]]) -> Propensity | None:
    if "propensity_scores" not in arrays:
        return None
    return Propensity(arrays["propensity_scores"].astype(np.float32), arrays["propensity_chances"].astype(np.float32))


def _check(model: ItemModel, name: str) -> None:
    count = len(model.vocabulary)
    width = model.neighbor_rows.shape[1] if model.neighbor_rows.ndim == 2 else -1
    shapes_fit = (
        model.popularity.shape == (count,)
        and model.neighbor_rows.shape == (count, width)
        and model.neighbor_scores.shape == (count, width)
        and model.neighbor_counts.shape == (count,)
        and EVERYONE in model.shared_lists
    )
    if not shapes_fit:
        raise ArtifactError(name, "the sizes of its arrays disagree")
    finite = np.isfinite(model.popularity).all() and np.isfinite(model.neighbor_scores).all()
    if not finite or np.any(model.neighbor_counts > width) or np.any(model.neighbor_rows >= max(count, 1)):
        raise ArtifactError(name, "it holds rows or scores that cannot be")
    if model.propensity is not None and not model.propensity.is_sound():
        raise ArtifactError(name, "its propensities do not rise from 0 to 1")
    for candidates in model.shared_lists.values():
        if candidates.dtype != CANDIDATE or np.any(candidates["row"] >= count):
            raise ArtifactError(name, "a shared list names items that do not exist")
