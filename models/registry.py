"""The directory of all artifacts, with ``CURRENT`` naming the version that is to be served.

Layout: ``<root>/<model_version>/…``, ``<root>/CURRENT`` (one line), ``<root>/promotions.jsonl`` (every promotion and
roll back, oldest first), ``<root>/verdicts/<model_version>.json`` (what the gate said of it last). Readers never see
half a change: directories and ``CURRENT`` appear by rename.
"""

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.artifact import WRITING_PREFIX, Artifact, ArtifactWriter, open_artifact
from models.errors import ArtifactError, InvalidInputError, NotFoundError, PreconditionError
from models.manifest import Manifest, is_model_version, read_manifest

_ABANDONED_AFTER_SECONDS = 24 * 3600


class Registry:
    """Keeps artifacts under one directory, which is made on the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def writer(self) -> ArtifactWriter:
        """Begin a new artifact."""
        return ArtifactWriter(self.root)

    def take_in(self, artifact: Artifact) -> None:
        """Copy an artifact of another registry into this one; one of the same version that is there already stays."""
        version = artifact.manifest.model_version
        self.root.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=WRITING_PREFIX, dir=self.root))
        try:
            if not (self.root / version).exists():
                shutil.copytree(artifact.directory, aside / version)
                open_artifact(aside / version)
                (aside / version).rename(self.root / version)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def versions(self) -> list[str]:
        """List the versions, newest data first."""
        if not self.root.is_dir():
            return []
        return sorted((path.name for path in self.root.iterdir() if is_model_version(path.name)), reverse=True)

    def manifests(self) -> list[Manifest]:
        """List the manifests, newest data first. ArtifactError names one that is damaged."""
        return [read_manifest(self.root / version) for version in self.versions()]

    def manifest(self, version: str) -> Manifest:
        """Give one manifest. NotFoundError when there is no such version."""
        self._require(version)
        return read_manifest(self.root / version)

    def open(self, version: str) -> Artifact:
        """Open one artifact, every file verified. NotFoundError, ArtifactError."""
        self._require(version)
        return open_artifact(self.root / version)

    def current(self) -> str | None:
        """Give the version that is to be served, None before the first promotion."""
        path = self.root / "CURRENT"
        if not path.is_file():
            return None
        version = path.read_text().strip()
        if not is_model_version(version):
            raise ArtifactError(str(path), "does not name a model version")
        return version

    def promote(self, version: str, note: str = "") -> None:
        """Name a version in ``CURRENT`` and write the promotion down with its note. NotFoundError, ArtifactError."""
        with self._lock():
            self.manifest(version)
            self._record("promote", version, note)
            self._name_current(version)

    def write_verdict(self, version: str, verdict: Mapping[str, Any]) -> None:
        """Keep what the gate said of a version last, as JSON. NotFoundError when there is no such version."""
        self._require(version)
        with self._lock():
            path = self._verdict_path(version)
            path.parent.mkdir(exist_ok=True)
            aside = path.with_name(f".{path.name}")
            aside.write_text(json.dumps(verdict, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            aside.replace(path)

    def verdict(self, version: str) -> Mapping[str, Any] | None:
        """Give what the gate said of a version last, None when it was not asked. ArtifactError when it is damaged."""
        path = self._verdict_path(version)
        if not path.is_file():
            return None
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ArtifactError(str(path), "is not a verdict") from error

    def roll_back(self) -> str:
        """Name the version promoted before the current one, and give it. PreconditionError when there is none."""
        with self._lock():
            earlier = self._earlier_versions()
            if not earlier:
                raise PreconditionError("no model was promoted before the current one")
            self._record("roll-back", earlier[-1], "")
            self._name_current(earlier[-1])
            return earlier[-1]

    def prune(self, keep: int) -> list[str]:
        """Delete all but the ``keep`` newest versions, and give the deleted ones.

        The current version and the one that a roll back would name always stay. Abandoned writes go too.
        """
        if keep < 1:
            raise InvalidInputError("keep", "must be at least 1")
        with self._lock():
            protected = {self.current(), *self._earlier_versions()[-1:], *self.versions()[:keep]}
            doomed = [version for version in self.versions() if version not in protected]
            for version in doomed:
                shutil.rmtree(self.root / version)
                self._verdict_path(version).unlink(missing_ok=True)
            self._sweep_abandoned()
        return doomed

    def _verdict_path(self, version: str) -> Path:
        return self.root / "verdicts" / f"{version}.json"

    def _earlier_versions(self) -> list[str]:
        """Replay the promotions and give the versions below the current one that still exist, oldest first.

        The last promotion on record may not be in force: its process may have died before it named the version.
        """
        stack: list[str] = []
        for action, version in self._promotions():
            if action == "promote":
                stack = [other for other in stack if other != version] + [version]
            else:
                stack = stack[: stack.index(version) + 1] if version in stack else [version]
        current, present = self.current(), set(self.versions())
        below = stack[: stack.index(current)] if current in stack else stack
        return [version for version in below if version in present]

    def _promotions(self) -> Iterator[tuple[str, str]]:
        path = self.root / "promotions.jsonl"
        if not path.is_file():
            return
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            try:
                record = json.loads(line)
                yield record["action"], record["model_version"]
            except (ValueError, KeyError, TypeError) as error:
                raise ArtifactError(f"{path}, line {number}", "is not a promotion") from error

    def _record(self, action: str, version: str, note: str) -> None:
        record = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "action": action,
            "model_version": version,
            "note": note,
        }
        with (self.root / "promotions.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _name_current(self, version: str) -> None:
        aside = self.root / ".CURRENT"
        with aside.open("w") as file:
            file.write(version + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.root / "CURRENT")

    def _require(self, version: str) -> None:
        if not is_model_version(version) or not (self.root / version).is_dir():
            raise NotFoundError(f"{self.root} holds no model {version!r}; `dangol models list` shows those it holds")

    def _sweep_abandoned(self) -> None:
        for path in self.root.glob(f"{WRITING_PREFIX}*"):
            if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Let one process at a time change what is current; readers need no lock."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
