"""What the commands that learn share: which events they read, and how they are told to learn."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cli.session import Session
from models.errors import PreconditionError

if TYPE_CHECKING:
    from training.config import ColumnMapping, TrainingConfiguration


def require(extra: str, what: str, *modules: str) -> None:
    """Find out before hours of work whether an optional library is there, not after. PreconditionError."""
    if any(find_spec(module) is None for module in modules):
        raise PreconditionError(f"{what}: install dangol[{extra}]")


@contextmanager
def sources_of(session: Session, named: list[str], with_archive: bool) -> Iterator[list[str]]:
    """Give the sources, those of the archive on this machine as long as the context."""
    if not with_archive:
        yield named
        return
    from service.settings import read_settings
    from service.store.archive import Archive

    with Archive(read_settings(home=session.home).archive_location).local_copy() as folder:
        yield [*named, str(folder)]


def mapping_of(path: Path | None, items: Path | None = None) -> "ColumnMapping":
    """Read which column means what; this product's own names without a file. ``items`` is the table of items."""
    from training.config import ColumnMapping, ItemTable, load_mapping

    mapping = ColumnMapping() if path is None else load_mapping(path)
    if items is None:
        return mapping
    told = mapping.items or ItemTable(path=items)
    return mapping.model_copy(update={"items": told.model_copy(update={"path": items})})


def configuration_of(
    path: Path | None, *, until: datetime | None = None, ranker: str | None = None, seed: int | None = None
) -> "TrainingConfiguration":
    """Read how to learn, what else is given in place of what the file says."""
    from training.config import TrainingConfiguration, load_configuration, parse

    content = {} if path is None else load_configuration(path).model_dump(exclude_unset=True)
    if until is not None:
        content["until"] = until.replace(tzinfo=UTC)
    if ranker is not None:
        content["ranker"] = ranker
    if seed is not None:
        content["seed"] = seed
    return parse(TrainingConfiguration, content, "options")
