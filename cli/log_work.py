"""Works on the log of events for the commands of ``dangol events``."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from cli.publishing import RedisTarget, reaching
from cli.session import Session
from models.events import Event
from service.settings import Settings
from service.store import dead_letters as letters
from service.store.archive import Archive
from service.store.archive_progress import ArchivedLog
from service.store.connection import SyncConnection
from service.store.dead_letters import DeadLetter
from service.store.exports import write_events
from service.store.log_group import LogGroup, ShardLag


def export_events(session: Session, target: RedisTarget, path: Path) -> int:
    """Write all events to ``path`` and give their number; one that is archived meanwhile may stand there twice."""
    settings = target.settings(session)
    path.parent.mkdir(parents=True, exist_ok=True)
    with reaching(settings) as connection:
        return write_events(path, all_events(connection, settings))


def all_events(connection: SyncConnection, settings: Settings) -> Iterator[Event]:
    """Give all events, of the log and of the archive; one that is archived meanwhile may come twice."""
    log = ArchivedLog(connection, settings.tenant)
    # The log first: what leaves it meanwhile is in the archive when that is read.
    pages = chain(([entry] for entry in log.rest()), Archive(settings.archive_location).events())
    return (entry.event for page in pages for entry in page)


def lags(session: Session, target: RedisTarget) -> list[ShardLag]:
    """Tell how far the workers are."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        return LogGroup(connection, settings.tenant, "").lags()


def dead_letters(session: Session, target: RedisTarget) -> list[DeadLetter]:
    """Give what was set aside."""
    settings = target.settings(session)
    with reaching(settings) as connection:
        return list(letters.dead_letters(connection, settings.tenant))


def replay(session: Session, target: RedisTarget, names: Sequence[str] | None) -> int:
    """Append what was set aside to the log again, all of it when no names are given."""
    return _with_dead(session, target, names, letters.replay)


def remove(session: Session, target: RedisTarget, names: Sequence[str] | None) -> int:
    """Throw away what was set aside, all of it when no names are given."""
    return _with_dead(session, target, names, letters.remove)


def _with_dead(
    session: Session,
    target: RedisTarget,
    names: Sequence[str] | None,
    action: Callable[[SyncConnection, str, Sequence[str]], int],
) -> int:
    settings = target.settings(session)
    with reaching(settings) as connection:
        found = names or [letter.name for letter in letters.dead_letters(connection, settings.tenant)]
        return action(connection, settings.tenant, found)
