"""The log becomes an archive, once each event, whoever dies on the way."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import UnavailableError
from service.store import dead_letters
from service.store.archive import Archive, ArchivedEvent
from service.store.archive_progress import ArchivedLog
from service.store.connection import SyncConnection
from service.store.keys import MetaKeys
from service.store.lease import Lease
from service.store.log_group import LogGroup
from tests.live import shop
from tests.live.conftest import TENANT
from tests.live.parts import applier, archived_ids, archiver, length_of, record, work_off


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(str(tmp_path / "archive"))


def test_events_are_archived_once_and_leave_the_log_when_applied(connection: SyncConnection, archive: Archive) -> None:
    events = [shop.event(number, 1, customer_id=f"customer-{number}") for number in range(50)]
    record(connection, *events)
    scribe = archiver(connection, archive)
    assert scribe.step()
    assert archived_ids(archive) == sorted(event.event_id for event in events)
    assert length_of(connection) == 50
    work_off(applier(connection))
    assert not scribe.step()
    assert length_of(connection) == 0


def test_nothing_leaves_the_log_before_it_is_archived(connection: SyncConnection, archive: Archive) -> None:
    record(connection, shop.event(1, 12))
    work_off(applier(connection))
    assert not archiver(connection, archive, interval=60).step()
    assert length_of(connection) == 1


class Killed(BaseException):
    """Stands for SIGKILL at one place."""


@pytest.mark.parametrize("place", ["before the file", "after the file"])
def test_a_killed_archiver_doubles_and_loses_nothing(
    place: str, connection: SyncConnection, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Archive.add

    def killed(self: Archive, path: str, events: Iterable[ArchivedEvent]) -> None:
        if place == "after the file":
            add(self, path, events)
        raise Killed

    record(connection, shop.event(1, 12))
    monkeypatch.setattr(Archive, "add", killed)
    with pytest.raises(Killed):
        archiver(connection, archive, "first").step()
    monkeypatch.undo()
    record(connection, shop.event(2, 13))
    second = archiver(connection, archive, "first")
    assert second.step()
    assert second.step()
    assert archived_ids(archive) == ["event-1", "event-2"]


def test_an_archiver_that_was_halted_does_no_harm(connection: SyncConnection, archive: Archive) -> None:
    record(connection, shop.event(1, 12))
    log = ArchivedLog(connection, TENANT)
    seen = log.progress()
    begun = replace(seen, next=log.unarchived(seen)[1])
    assert log.move(seen, begun)
    work_off(applier(connection))
    assert archiver(connection, archive, "second").step()
    archiver(connection, archive, "second").step()
    assert length_of(connection) == 0
    archive.add(begun.path, log.batch(begun))
    assert not log.move(begun, begun.finished())
    assert archived_ids(archive) == ["event-1"]


def test_one_of_several_archives(connection: SyncConnection, archive: Archive) -> None:
    record(connection, shop.event(1, 12))
    lease = Lease(connection, MetaKeys(TENANT).archiving, "other", 60)
    assert lease.take()
    assert not archiver(connection, archive).step()
    assert archived_ids(archive) == []


def test_replayed_entries_are_not_archived_a_second_time(connection: SyncConnection, archive: Archive) -> None:
    record(connection, shop.event(1, 12))
    group = LogGroup(connection, TENANT, "one")
    group.set_aside([(entry, "it is odd") for entry in group.read(1)])
    scribe = archiver(connection, archive)
    scribe.step()
    names = [letter.name for letter in dead_letters.dead_letters(connection, TENANT)]
    dead_letters.replay(connection, TENANT, names)
    while scribe.step():
        pass
    assert archived_ids(archive) == ["event-1"]


def test_an_archive_that_cannot_be_written_keeps_the_log(connection: SyncConnection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    record(connection, shop.event(1, 12))
    scribe = archiver(connection, Archive(str(tmp_path / "file")))
    with pytest.raises(UnavailableError):
        scribe.step()
    (tmp_path / "file").unlink()
    assert scribe.step()
    assert archived_ids(Archive(str(tmp_path / "file"))) == ["event-1"]
