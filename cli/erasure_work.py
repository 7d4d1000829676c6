"""What ``dangol erasures`` does: walks over every place that may hold a customer, to remove or to count."""

import json
import re
import time
from collections.abc import Iterator
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

from cli.publishing import RedisTarget, reaching
from cli.session import Session
from models.artifact_erasure import erase_from_model, erased_files
from models.erasures import Erasure, ErasureList, is_erased, recognises
from models.errors import NotFoundError
from models.progress import Progress
from service.settings import Settings
from service.store.archive import Archive
from service.store.archive_progress import ArchivedLog
from service.store.connection import SyncConnection
from service.store.erasure_store import read_erasures, restore_erasures
from service.store.residues import RedisResidues, Residue

FOLDERS = ("exports", "refused")
"""Folders of the home whose JSON Lines may hold customers."""

REPORTS = "reports"
"""The folder of the home whose pages show customers; a page without one of them is a new page."""

_CUSTOMER = re.compile('<h3 class="customer">(.*?)</h3>', re.DOTALL)
_BATCH_PATIENCE = 60.0  # seconds that a batch of the archive may take to be written
_LOOK = 0.2


def erasures(session: Session, target: RedisTarget) -> list[Erasure]:
    """Give every erasure that Redis or the registry knows, oldest first."""
    with reaching(target.settings(session)) as connection:
        return _known(session, target.settings(session), connection)


def apply(session: Session, target: RedisTarget, progress: Progress) -> dict[str, int]:
    """Remove what is left of every erased customer, and count it by place. May be repeated at any time."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        known = _known(session, settings, connection)
        restore_erasures(connection, settings.tenant, known)
        ErasureList(session.registry().root).add(known)
        counts: dict[str, int] = {}
        with progress.stage("erasing", None) as stage:
            for residue in _residues(session, settings, connection, known, waits=True):
                residue.remove()
                counts[residue.place] = counts.get(residue.place, 0) + 1
                stage.advance()
    return counts


def verify(session: Session, target: RedisTarget, receipt_id: str, progress: Progress) -> dict[str, int]:
    """Count by place what is left of the customer of a receipt. NotFoundError when nobody knows the receipt."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        found = [one for one in _known(session, settings, connection) if one.receipt_id == receipt_id]
        if not found:
            raise NotFoundError(f"there is no erasure {receipt_id}; `dangol erasures list` shows those there are")
        counts: dict[str, int] = {}
        with progress.stage("looking", None) as stage:
            for residue in _residues(session, settings, connection, found, waits=False):
                counts[residue.place] = counts.get(residue.place, 0) + 1
                stage.advance()
    return counts


def _known(session: Session, settings: Settings, connection: SyncConnection) -> list[Erasure]:
    listed = ErasureList(session.registry().root).all()
    found = {one.receipt_id: one for one in (*listed, *read_erasures(connection, settings.tenant))}
    return sorted(found.values(), key=lambda one: one.erase_time)


def _residues(
    session: Session, settings: Settings, connection: SyncConnection, known: list[Erasure], *, waits: bool
) -> Iterator[Residue]:
    """Walk over every place. ``waits`` lets a batch of the archive that is being written end first."""
    digests = frozenset(bytes.fromhex(one.digest) for erasure in known for one in erasure.ids)
    if not digests:
        return
    erased = recognises(known)
    redis = RedisResidues(connection, settings.tenant, digests)
    yield from redis.shared()
    yield from redis.owned()
    if waits:
        _wait_for_batch(ArchivedLog(connection, settings.tenant))
    archive = Archive(settings.archive_location)
    for name in archive.holding(erased):
        yield Residue("archive", partial(archive.erase, name, erased))
    yield from _on_disk(session, erased)


def _on_disk(session: Session, erased: frozenset[str]) -> Iterator[Residue]:
    """Walk over models, and over the files that commands wrote beside them."""
    registry = session.registry()
    for directory in (registry.root / version for version in registry.versions()):
        if erased_files(directory, erased):
            yield Residue("models", partial(erase_from_model, directory, erased))
    for folder in FOLDERS:
        for path in sorted((session.home / folder).glob("*.jsonl")):
            if any(_names(line, erased) for line in path.read_bytes().splitlines()):
                yield Residue(folder, partial(_rewrite, path, erased))
    for page in sorted((session.home / REPORTS).glob("*.html")):
        if any(is_erased(name, erased) for name in shown_in(page.read_text(encoding="utf-8"))):
            yield Residue(REPORTS, page.unlink)


def shown_in(page: str) -> list[str]:
    """Name the customers whom the report of a model shows."""
    return [unescape(name) for name in _CUSTOMER.findall(page)]


def _wait_for_batch(log: ArchivedLog) -> None:
    """Return when the batch that is being written, which may hold what has left the log since, is written."""
    begun = log.progress()
    end = time.monotonic() + _BATCH_PATIENCE
    while begun.next and log.progress() == begun and time.monotonic() < end:
        time.sleep(_LOOK)


def _rewrite(path: Path, erased: frozenset[str]) -> None:
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if not _names(line, erased)]
    aside = path.with_name(f".{path.name}.writing")
    aside.write_bytes(b"".join(lines))
    aside.replace(path)


def _names(line: bytes, erased: frozenset[str]) -> bool:
    try:
        return any(is_erased(text, erased) for text in _texts(json.loads(line)))
    except ValueError:
        return False


def _texts(content: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from _texts(part)
    elif isinstance(content, (str, int)):
        yield str(content)
