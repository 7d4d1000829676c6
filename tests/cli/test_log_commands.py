"""``dangol events``: how far the workers are, what they set aside, and everything in one file."""

import json
from pathlib import Path

import pytest

from service.store import keys
from service.store.archive import Archive, ArchivedEvent
from service.store.connection import connect_blocking
from service.store.event_log import append_blocking
from service.store.log_group import LogGroup
from tests.cli.conftest import Command
from tests.redis_fixtures import patient
from tests.store import samples

TENANT = "local"


@pytest.fixture
def dead(redis_url: str) -> str:
    """Let a worker set an entry aside, and give the URL of that Redis."""
    with connect_blocking(patient(redis_url)) as connection:
        log = keys.log_key(TENANT, keys.shard_of("ada"))
        connection.client.execute_command("XADD", log, "*", "event", "no json")
        append_blocking(connection, TENANT, [samples.event(1)])
        group = LogGroup(connection, TENANT, "one")
        group.set_aside([(entry, entry.problem) for entry in group.read(1)])
    return redis_url


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_lag_is_shown_shard_by_shard(dangol: Command, dead: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dangol("events", "lag", "--redis-url", dead, "--json") == 0
    lags = printed(capsys)
    assert len(lags) == keys.SHARD_COUNT
    assert sum(int(str(lag["waiting"])) for lag in lags) == 1
    assert sum(int(str(lag["dead"])) for lag in lags) == 1
    assert dangol("events", "lag", "--redis-url", dead) == 0
    assert "set aside" in capsys.readouterr().out


def test_dead_letters_are_listed_and_replayed(dangol: Command, dead: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dangol("events", "dead", "list", "--redis-url", dead, "--json") == 0
    [letter] = printed(capsys)
    assert (letter["event"], letter["reason"]) == ("no json", "is not an event as the log holds it")
    assert dangol("events", "dead", "replay", letter["name"], "--redis-url", dead, "--json") == 0
    assert printed(capsys) == [{"replayed": 1}]
    assert dangol("events", "dead", "list", "--redis-url", dead) == 0
    assert "nothing was set aside" in capsys.readouterr().out


def test_dead_letters_are_thrown_away(dangol: Command, dead: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert dangol("events", "dead", "remove", "--all", "--redis-url", dead, "--json") == 0
    assert printed(capsys) == [{"removed": 1}]


@pytest.mark.parametrize("arguments", [(), ("0a/1-0", "--all")])
def test_either_names_or_all_must_be_said(
    arguments: tuple[str, ...], dangol: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dangol("events", "dead", "replay", *arguments) != 0
    assert "NAME" in capsys.readouterr().err


def test_an_export_holds_the_archive_and_what_is_not_in_it_yet(
    dangol: Command, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANGOL_ARCHIVE", str(tmp_path / "kept"))
    Archive(str(tmp_path / "kept")).add(
        "day=2026-03-01/events-1-x.parquet", [ArchivedEvent(0, "1-0", samples.event(1))]
    )
    with connect_blocking(patient(redis_url)) as connection:
        append_blocking(connection, TENANT, [samples.event(2)])
    file = tmp_path / "events.jsonl"
    assert dangol("events", "export", file, "--redis-url", redis_url) == 0
    assert {json.loads(line)["event_id"] for line in file.read_text().splitlines()} == {"event-1", "event-2"}
