"""A model on disk: a manifest beside npz files, written aside and renamed, verified before use.

The format is documented in docs/artifact-format.md. Equal content has equal bytes and an equal version: nothing inside
tells when or where it was written.
"""

import hashlib
import io
import itertools
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.backtest import Backtest, decode_backtest, encode_backtest
from models.candidates import CANDIDATE, MAXIMAL_EVIDENCE, NO_EVIDENCE, VIEWED_FLAG, CandidateTable
from models.errors import ArtifactError, InvalidInputError
from models.item_model import ItemModel, decode_item_model, encode_item_model
from models.manifest import MANIFEST_FILE, FileEntry, Manifest, read_manifest
from models.outlook import OUTLOOK, are_sound
from models.vocabulary import pack_ids, unpack_ids

ITEMS_FILE = "items.npz"
FACTORS_FILE = "factors.npz"
BACKTEST_FILE = "backtest.npz"
LISTS_FILE = "lists-{:05d}.npz"
WRITING_PREFIX = ".writing-"
MAXIMAL_CHUNK = 65_536
"""How many customers one lists file may hold, so that readers need memory for one file only."""


class ArtifactWriter:
    """Writes one artifact into a directory of its own and renames it when it is whole.

    Use it as a context manager: without :meth:`finish` nothing remains.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = root
        self._directory = Path(tempfile.mkdtemp(prefix=WRITING_PREFIX, dir=root))
        self._files: dict[str, FileEntry] = {}
        self._lists_count = 0
        self._last_customer_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def write_items(self, model: ItemModel) -> None:
        """Write the item side of the model."""
        self._write(ITEMS_FILE, encode_item_model(model))

    def write_factors(self, item_factors: NDArray[np.float32]) -> None:
        """Write the item factors, shape (n, f). InvalidInputError unless all are finite."""
        if not np.isfinite(item_factors).all():
            raise InvalidInputError("item_factors", "are not all finite; the fit diverged")
        self._write(FACTORS_FILE, _npz(item_factors=item_factors.astype(np.float32, copy=False)))

    def write_lists(self, table: CandidateTable) -> None:
        """Write the lists of the next customers; ids ascend from the first call to the last.

        InvalidInputError when they do not, or when there are more than MAXIMAL_CHUNK of them.
        """
        if not 0 < len(table) <= MAXIMAL_CHUNK:
            raise InvalidInputError("lists", f"a chunk holds 1 to {MAXIMAL_CHUNK} customers, not {len(table)}")
        ids = [self._last_customer_id, *table.customer_ids]
        if any(earlier >= later for earlier, later in itertools.pairwise(ids)):
            raise InvalidInputError("lists", "customer ids must ascend and none may stand twice")
        self._last_customer_id = table.customer_ids[-1]
        self._write(LISTS_FILE.format(self._lists_count), encode_lists(table))
        self._lists_count += 1

    def write_backtest(self, backtest: Backtest) -> None:
        """Write what the model was judged by; an artifact that was not judged has none."""
        self._write(BACKTEST_FILE, encode_backtest(backtest))

    def finish(
        self,
        *,
        first_event_time: datetime,
        last_event_time: datetime,
        counts: Mapping[str, int],
        configuration: Mapping[str, Any],
        metrics: Mapping[str, Any],
    ) -> Manifest:
        """Write the manifest and rename the directory to its version. An equal artifact that is there already stays."""
        missing = {ITEMS_FILE, FACTORS_FILE, LISTS_FILE.format(0)} - set(self._files)
        if missing:
            raise InvalidInputError("artifact", f"{', '.join(sorted(missing))} was not written")
        manifest = Manifest.describe(
            first_event_time=first_event_time,
            last_event_time=last_event_time,
            counts=counts,
            configuration=configuration,
            metrics=metrics,
            files=self._files,
        )
        self._write(MANIFEST_FILE, manifest.to_json())
        target = self._root / manifest.model_version
        if not target.exists():
            self._directory.chmod(0o755)
            _sync_directory(self._directory)
            self._directory.rename(target)
            _sync_directory(self._root)
        return manifest

    def _write(self, name: str, content: bytes) -> None:
        with (self._directory / name).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._files[name] = FileEntry(hashlib.sha256(content).hexdigest(), len(content))


@dataclass(frozen=True)
class Artifact:
    """Reads one artifact whose files were found whole when it was opened."""

    directory: Path
    manifest: Manifest

    def items_bytes(self) -> bytes:
        """Give the bytes of the item model, as they are published."""
        return (self.directory / ITEMS_FILE).read_bytes()

    def items(self) -> ItemModel:
        """Give the item model."""
        return decode_item_model(self.items_bytes(), str(self.directory / ITEMS_FILE))

    def factors(self) -> NDArray[np.float32]:
        """Give the item factors, shape (n, f)."""
        path = self.directory / FACTORS_FILE
        factors = _load(path)["item_factors"].astype(np.float32, copy=False)
        if factors.ndim != 2 or len(factors) != self.manifest.counts["items"] or not np.isfinite(factors).all():
            raise ArtifactError(str(path), "the factors do not fit the items")
        return factors

    def backtest(self) -> Backtest | None:
        """Give what the model was judged by, None when it was not judged."""
        if BACKTEST_FILE not in self.manifest.files:
            return None
        path = self.directory / self.manifest.stored_name(BACKTEST_FILE)
        return decode_backtest(path.read_bytes(), self.manifest.counts["items"], str(path))

    def lists(self) -> Iterator[CandidateTable]:
        """Give the lists, one file after the other. ArtifactError when a file cannot be what the format says."""
        for name in sorted(name for name in self.manifest.files if name.startswith("lists-")):
            yield read_lists(self.directory / self.manifest.stored_name(name), self.manifest.counts["items"])


def encode_lists(table: CandidateTable) -> bytes:
    """Write a table of lists as the bytes of an npz file."""
    utf8, offsets = pack_ids(table.customer_ids)
    optional = {} if table.outlooks is None else {"outlooks": table.outlooks}
    return _npz(
        customer_ids=utf8,
        customer_id_offsets=offsets,
        candidates=table.candidates,
        counts=table.counts,
        evidence_rows=table.evidence_rows,
        evidence_counts=table.evidence_counts,
        **optional,
    )


def open_artifact(directory: Path) -> Artifact:
    """Open an artifact after checking its manifest, and the size and sha256 of every file that the manifest names.

    ArtifactError names the file that is missing or not what it was. Takes a read of everything: about 1 s per GB.
    """
    manifest = read_manifest(directory)
    for name in manifest.files:
        path, entry = directory / manifest.stored_name(name), manifest.stored_entry(name)
        if not path.is_file():
            raise ArtifactError(str(path), "is missing")
        if path.stat().st_size != entry.size:
            raise ArtifactError(str(path), f"has {path.stat().st_size} bytes instead of {entry.size}")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
                raise ArtifactError(str(path), "its sha256 is not the one in the manifest")
    return Artifact(directory, manifest)


def read_lists(path: Path, item_count: int) -> CandidateTable:
    """Read one file of lists. ArtifactError when it cannot be what the format says."""
    arrays = _load(path)
    try:
        table = CandidateTable(
            customer_ids=unpack_ids(arrays["customer_ids"], arrays["customer_id_offsets"]),
            candidates=arrays["candidates"],
            counts=arrays["counts"],
            evidence_rows=arrays["evidence_rows"],
            evidence_counts=arrays["evidence_counts"],
            outlooks=arrays.get("outlooks"),
        )
    except (KeyError, InvalidInputError) as error:
        raise ArtifactError(str(path), f"cannot be read as lists ({error})") from error
    problem = _problem_of(table, item_count)
    if problem:
        raise ArtifactError(str(path), problem)
    return table


def _problem_of(table: CandidateTable, item_count: int) -> str:
    count = len(table)
    candidates, evidence = table.candidates, table.evidence_rows
    if candidates.dtype != CANDIDATE or candidates.ndim != 2 or evidence.ndim != 2:
        return "its arrays have other types than lists have"
    lengths = {len(candidates), len(table.counts), len(evidence), len(table.evidence_counts)}
    if lengths != {count} or evidence.shape[1] > MAXIMAL_EVIDENCE:
        return "the sizes of its arrays disagree"
    if np.any(table.counts > candidates.shape[1]) or np.any(table.evidence_counts > evidence.shape[1]):
        return "it counts more than it holds"
    valid = np.arange(candidates.shape[1]) < table.counts[:, np.newaxis]
    named = np.arange(evidence.shape[1]) < table.evidence_counts[:, np.newaxis]
    evidence_items = evidence & ~np.uint32(VIEWED_FLAG)
    if np.any(candidates["row"][valid] >= item_count) or np.any(evidence_items[named] >= item_count):
        return "it names items that do not exist"
    unfit = (candidates["evidence"] >= table.evidence_counts[:, np.newaxis]) & (candidates["evidence"] != NO_EVIDENCE)
    if np.any(unfit & valid):
        return "it names evidence that is not there"
    return _problem_of_numbers(table, valid)


def _problem_of_numbers(table: CandidateTable, valid: NDArray[np.bool_]) -> str:
    if not np.isfinite(table.candidates["score"][valid]).all():
        return "its scores are not all finite"
    outlooks = table.outlooks
    if outlooks is None or (outlooks.dtype == OUTLOOK and outlooks.shape == (len(table),) and are_sound(outlooks)):
        return ""
    return "its outlooks cannot be"


def _npz(**arrays: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(str(path), f"cannot be read ({error})") from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
