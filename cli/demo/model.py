"""The demo's model: trained once on the same purchases and configuration, found again afterwards."""

import hashlib
import json
from pathlib import Path

from cli.demo.data import CUT, DemoData
from cli.output import remarks
from cli.promotion import pass_gate
from models.errors import DangolError
from models.manifest import FORMAT_VERSION, Manifest
from models.progress import Progress
from models.registry import Registry
from training.config import ColumnMapping, TrainingConfiguration
from training.job import train

_NOTE = "trained.json"


def trained(data: DemoData, home: Path, registry: Registry, again: bool, progress: Progress) -> tuple[Manifest, bool]:
    """Train up to the cut, or give what an earlier run trained on the very same input; True when it was found.

    The same input, configuration and seed give the same bytes, so nothing is lost by not training twice.
    """
    configuration = TrainingConfiguration(until=CUT, holdout_days=31, ranker="blend")  # trees take minutes
    key = _key(data, configuration)
    found = None if again else _found(home / _NOTE, key, registry)
    manifest = found or train([str(data.events)], ColumnMapping(), configuration, registry, progress).manifest
    if found is None:
        (home / _NOTE).write_text(json.dumps({"key": key, "model_version": manifest.model_version}))
    if registry.current() != manifest.model_version:
        passage = pass_gate(registry, manifest.model_version, configuration.gate, by="dangol demo", force=True)
        if passage.forced:
            failed = ", ".join(check.name for check in passage.verdict.failed)
            remarks().print(f"[yellow]The gate would refuse this model ({failed}); the demo forces it.[/yellow]")
    return manifest, found is not None


def _key(data: DemoData, configuration: TrainingConfiguration) -> str:
    shape = {"format": FORMAT_VERSION, "data": data.folder.name, "configuration": configuration.for_manifest()}
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()


def _found(note: Path, key: str, registry: Registry) -> Manifest | None:
    try:
        content = json.loads(note.read_text())
        if content["key"] != key:
            return None
        return registry.open(content["model_version"]).manifest
    except (OSError, ValueError, KeyError, TypeError, DangolError):
        return None
