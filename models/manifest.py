"""The description of an artifact, in JSON: what was learned from, how, how well, and what every file must be."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from models.errors import ArtifactError, NotFoundError

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
_VERSION_PATTERN = re.compile(r"\d{8}-[0-9a-f]{12}")
_FILE_PATTERN = re.compile(r"[a-z]+(-\d{5})?\.npz")
_REPLACEMENT_PATTERN = re.compile(r"[a-z]+(-\d{5})?-without-[0-9a-f]{12}\.npz")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Says what a file must be: its sha256 in hexadecimal and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Replacement:
    """Is the file that took the place of one, from which customers were erased since."""

    name: str
    entry: FileEntry


@dataclass(frozen=True)
class Manifest:
    """Describes one artifact.

    The data window is UTC and inclusive at both ends. ``configuration`` and ``metrics`` are JSON. ``model_version`` is
    the day of the last event and twelve hexadecimal digits of a digest over everything else, so that no change of it
    goes unnoticed; ``replacements`` are no part of it: from those files customers were erased since.
    """

    format_version: int
    model_version: str
    first_event_time: datetime
    last_event_time: datetime
    counts: Mapping[str, int]
    configuration: Mapping[str, Any]
    metrics: Mapping[str, Any]
    files: Mapping[str, FileEntry]
    replacements: Mapping[str, Replacement] = field(default_factory=dict)

    @classmethod
    def describe(
        cls,
        *,
        first_event_time: datetime,
        last_event_time: datetime,
        counts: Mapping[str, int],
        configuration: Mapping[str, Any],
        metrics: Mapping[str, Any],
        files: Mapping[str, FileEntry],
    ) -> Self:
        """Make the manifest of this content, with the version that follows from it."""
        content = {
            "format_version": FORMAT_VERSION,
            "first_event_time": first_event_time.astimezone(UTC).isoformat(),
            "last_event_time": last_event_time.astimezone(UTC).isoformat(),
            "counts": dict(counts),
            "configuration": configuration,
            "metrics": metrics,
            "files": {name: asdict(entry) for name, entry in files.items()},
        }
        return cls.from_content(_version_of(content), json.loads(_canonical(content)))

    @classmethod
    def from_content(cls, model_version: str, content: Mapping[str, Any]) -> Self:
        """Make a manifest of decoded JSON. ValueError, KeyError or TypeError when it is not one."""
        return cls(
            format_version=content["format_version"],
            model_version=model_version,
            first_event_time=_time(content["first_event_time"]),
            last_event_time=_time(content["last_event_time"]),
            counts={name: int(count) for name, count in content["counts"].items()},
            configuration=dict(content["configuration"]),
            metrics=dict(content["metrics"]),
            files={name: FileEntry(**entry) for name, entry in content["files"].items()},
        )

    def stored_name(self, name: str) -> str:
        """Give the name under which what was written as ``name`` is stored now."""
        replacement = self.replacements.get(name)
        return name if replacement is None else replacement.name

    def stored_entry(self, name: str) -> FileEntry:
        """Say what the file under that name must be."""
        replacement = self.replacements.get(name)
        return self.files[name] if replacement is None else replacement.entry

    def with_replacements(self, replacements: Mapping[str, Replacement]) -> Self:
        """Give the same manifest, its version included, with other files in the place of some."""
        return replace(self, replacements=dict(replacements))

    def to_json(self) -> bytes:
        """Write the manifest as indented JSON with sorted keys."""
        content = asdict(self) | {
            "first_event_time": self.first_event_time.isoformat(),
            "last_event_time": self.last_event_time.isoformat(),
        }
        if not self.replacements:
            del content["replacements"]
        return (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def read_manifest(directory: Path) -> Manifest:
    """Read and check the manifest of the artifact in a directory.

    NotFoundError when there is none; ArtifactError when it is not one, has an unknown format version, or is not the one
    that was written: its version must fit its content and the name of the directory.
    """
    path = directory / MANIFEST_FILE
    if not path.is_file():
        raise NotFoundError(f"{path}: there is no model")
    try:
        content = json.loads(path.read_bytes())
        written_format = content["format_version"]
        version = content.pop("model_version")
        replacements = content.pop("replacements", {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(str(path), "is not the manifest of a model") from error
    if written_format != FORMAT_VERSION:
        problem = f"has format version {written_format}, this program reads {FORMAT_VERSION}"
        raise ArtifactError(str(path), problem)
    try:
        fits = version == directory.name and version == _version_of(content)
        manifest = Manifest.from_content(version, content).with_replacements(_replacements_of(replacements))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(str(path), "is not the manifest of a model") from error
    if not fits or not _names_fit(manifest):
        raise ArtifactError(str(path), "is not the manifest that was written: its version does not fit its content")
    return manifest


def _replacements_of(content: Mapping[str, Any]) -> dict[str, Replacement]:
    return {name: Replacement(one["name"], FileEntry(**one["entry"])) for name, one in content.items()}


def _names_fit(manifest: Manifest) -> bool:
    stored = (replacement.name for replacement in manifest.replacements.values())
    return (
        manifest.replacements.keys() <= manifest.files.keys()
        and all(map(_FILE_PATTERN.fullmatch, manifest.files))
        and all(map(_REPLACEMENT_PATTERN.fullmatch, stored))
    )


def is_model_version(name: str) -> bool:
    """Tell whether a string has the form of a model version."""
    return _VERSION_PATTERN.fullmatch(name) is not None


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _version_of(content: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(_canonical(content).encode()).hexdigest()
    return f"{_time(content['last_event_time']):%Y%m%d}-{digest[:12]}"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
