"""Takes erased customers out of a model on disk, which stays the version that it is.

A file that names them is written anew under another name, then the manifest names the new file, then the old one goes:
killed anywhere, the model is whole, and doing it again finishes it.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.artifact import BACKTEST_FILE, encode_lists, read_lists
from models.backtest import Backtest, decode_backtest, encode_backtest
from models.erasures import is_erased
from models.manifest import MANIFEST_FILE, FileEntry, Manifest, Replacement, read_manifest


def erased_files(directory: Path, erased: frozenset[str]) -> list[str]:
    """Name the files of a model that hold erased customers, told by the SHA-256 of their ids, or that no one names."""
    manifest = read_manifest(directory)
    named = {manifest.stored_name(name) for name in manifest.files} | {MANIFEST_FILE}
    strays = [path.name for path in directory.iterdir() if path.name not in named]
    return sorted([name for name in manifest.files if _rewritten(directory, manifest, name, erased)] + strays)


def erase_from_model(directory: Path, erased: frozenset[str]) -> None:
    """Leave erased customers out of every file of a model."""
    manifest = read_manifest(directory)
    replacements = dict(manifest.replacements)
    for name in manifest.files:
        content = _rewritten(directory, manifest, name, erased)
        if content is not None:
            digest = hashlib.sha256(content).hexdigest()
            stem, suffix = name.rsplit(".", 1)
            replacement = Replacement(f"{stem}-without-{digest[:12]}.{suffix}", FileEntry(digest, len(content)))
            _write(directory / replacement.name, content)
            replacements[name] = replacement
    if replacements != manifest.replacements:
        manifest = manifest.with_replacements(replacements)
        _write(directory / MANIFEST_FILE, manifest.to_json())
    named = {manifest.stored_name(name) for name in manifest.files} | {MANIFEST_FILE}
    for path in list(directory.iterdir()):
        if path.name not in named:
            path.unlink()


def _rewritten(directory: Path, manifest: Manifest, name: str, erased: frozenset[str]) -> bytes | None:
    """Give what a file is without the erased customers; None when it names none of them."""
    path = directory / manifest.stored_name(name)
    if name.startswith("lists-"):
        table = read_lists(path, manifest.counts["items"])
        kept = _kept(table.customer_ids, erased)
        return None if kept.all() else encode_lists(table.only(kept))
    if name == BACKTEST_FILE:
        backtest = decode_backtest(path.read_bytes(), manifest.counts["items"], str(path))
        kept = _kept(backtest.customer_ids, erased)
        return None if kept.all() else encode_backtest(_backtest_of(backtest, kept))
    return None


def _kept(customer_ids: list[str], erased: frozenset[str]) -> NDArray[np.bool_]:
    return np.array([not is_erased(customer_id, erased) for customer_id in customer_ids], dtype=np.bool_)


def _backtest_of(backtest: Backtest, kept: NDArray[np.bool_]) -> Backtest:
    places = np.cumsum(kept) - 1
    labels = kept[backtest.label_owners]
    lengths = np.diff(backtest.history_offsets)
    history = np.repeat(kept, lengths)
    return Backtest(
        [customer_id for customer_id, keep in zip(backtest.customer_ids, kept, strict=True) if keep],
        backtest.lists[kept],
        places[backtest.label_owners[labels]].astype(np.uint32),
        backtest.label_rows[labels],
        backtest.label_values[labels],
        np.append(0, np.cumsum(lengths[kept])),
        backtest.history_rows[history],
        backtest.history_bought[history],
        backtest.young_rows,
    )


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
