"""The page about a model, as commands write it: beside what the gate compared it with, items by their names."""

from collections.abc import Mapping
from pathlib import Path

from cli.publish import CATALOG_EXPORT
from cli.session import Session


def page_of(session: Session, version: str, names: Path | None) -> str:
    """Write the page about a model of the registry; without ``names`` those of the last catalogue export."""
    from training.report import report_html

    registry = session.registry()
    verdict = registry.verdict(version)
    former = verdict.get("against") if verdict else None
    before = registry.open(former) if former in registry.versions() else None
    return report_html(registry.open(version), verdict, before, names_of(session, names))


def names_of(session: Session, path: Path | None) -> Mapping[str, str]:
    """Read the names of items by id out of a file, without one out of the last catalogue export, if there is any."""
    from training.names import read_names

    default = session.home / CATALOG_EXPORT
    chosen = path or (default if default.is_file() else None)
    return read_names(chosen) if chosen else {}
