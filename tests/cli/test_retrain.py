"""A retraining goes from the archive to what is served, and says what it did."""

import fcntl
import json
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.publishing import RedisTarget, reaching
from cli.session import Session
from models.erasures import Erasure, erased_id
from models.events import Event
from models.registry import Registry
from service.store.archive import Archive, ArchivedEvent
from service.store.erasure_store import restore_erasures
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore
from tests.cli.conftest import Command
from tests.e2e.processes import clean_environment, command_line
from tests.shop import customer_name, events, write_events

HOME = Path(".dangol")

Retrain = Callable[..., dict[str, Any]]


def archive_events(days: float, home: Path = HOME) -> None:
    """Put the tiny shop's events into the archive of the home, but for those of its last days."""
    rows = events()
    last = datetime.fromisoformat(rows[-1]["event_time"]) - timedelta(days=days)
    kept = [row for row in rows if datetime.fromisoformat(row["event_time"]) <= last]
    archived = (
        ArchivedEvent(
            0,
            f"{number}-0",
            Event(
                row["event_id"],
                row["customer_id"],
                row["event_type"],
                datetime.fromisoformat(row["event_time"]),
                item_id=row["item_id"],
            ),
        )
        for number, row in enumerate(kept)
    )
    Archive(str(home / "archive")).replace("day=2025-07-01/events-0000000001-shop.parquet", archived)


def live() -> GenerationRecord | None:
    session, target = Session(HOME), RedisTarget()
    with reaching(target.settings(session)) as connection:
        return GenerationStore(connection).overview("local").live


@pytest.fixture
def retrained(dangol: Command, capsys: pytest.CaptureFixture[str]) -> Retrain:
    """Retrain once more and give what the command told."""

    def run(*arguments: object) -> dict[str, Any]:
        assert dangol("retrain", "--json", *arguments) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    return run


def test_what_was_learned_from_the_archive_is_served(retrained: Retrain) -> None:
    archive_events(days=2)
    told = retrained()
    served = live()
    assert told["outcome"] == "published"
    assert served is not None
    assert (served.model_version, served.generation) == (told["model_version"], told["generation"])
    assert Registry(HOME / "models").current() == told["model_version"]
    assert told["started_from"] is None


def test_newer_events_are_learned_from_where_the_last_model_ended(retrained: Retrain) -> None:
    archive_events(days=2)
    first = retrained()
    archive_events(days=0)
    second = retrained()
    assert second["outcome"] == "published"
    assert second["started_from"] == first["model_version"]
    assert second["generation"] > first["generation"]
    assert second["last_event_time"] > first["last_event_time"]


def test_the_same_events_change_nothing(retrained: Retrain) -> None:
    archive_events(days=2)
    first, second = retrained(), retrained()
    assert second["outcome"] == "unchanged"
    assert (second["model_version"], second["generation"]) == (first["model_version"], first["generation"])


def test_a_model_that_the_gate_refuses_is_not_served(
    dangol: Command, capsys: pytest.CaptureFixture[str], retrained: Retrain, tmp_path: Path
) -> None:
    archive_events(days=2)
    first = retrained()
    archive_events(days=60)
    strict = tmp_path / "strict.toml"
    strict.write_text("[gate]\ndata = 1.0\n")
    assert dangol("retrain", "--json", "--config", strict) == 1
    output = capsys.readouterr()
    told = json.loads(output.out)
    served = live()
    assert told["outcome"] == "refused"
    assert "last event" in told["failed"]
    assert told["current"] == first["model_version"]
    assert served is not None
    assert served.model_version == first["model_version"]
    assert "the gate refused" in output.err


def test_old_models_go(retrained: Retrain) -> None:
    archive_events(days=10)
    versions = [retrained("--keep", 1)["model_version"]]
    for days in (5, 0):
        archive_events(days=days)
        told = retrained("--keep", 1)
        versions.append(told["model_version"])
    assert told["pruned"] == [versions[0]]
    assert Registry(HOME / "models").versions() == versions[:0:-1]


def test_a_customer_whom_redis_knows_as_erased_is_not_learned(retrained: Retrain) -> None:
    archive_events(days=2)
    erased = customer_name(3)
    session, target = Session(HOME), RedisTarget()
    with reaching(target.settings(session)) as connection:
        erasure = Erasure("receipt", datetime(2026, 1, 1, tzinfo=UTC), (erased_id(erased),))
        restore_erasures(connection, "local", [erasure])
    told = retrained()
    artifact = Registry(HOME / "models").open(told["model_version"])
    assert erased not in next(artifact.lists()).customer_ids


def test_two_retrainings_of_one_home_exclude_each_other(dangol: Command, capsys: pytest.CaptureFixture[str]) -> None:
    claimed = HOME / "models" / ".retraining"
    claimed.parent.mkdir(parents=True)
    with claimed.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert dangol("retrain") == 1
    assert "another retraining" in capsys.readouterr().err


@pytest.mark.parametrize("every", ["0h", "6", "six hours"])
def test_a_time_that_is_none_is_refused(every: str, dangol: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert dangol("retrain", "--every", every) == 2
    assert "is not a time" in capsys.readouterr().err


def test_a_schedule_goes_on_after_a_failure_until_it_is_told_to_end(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    sources = tmp_path / "empty" / "*.parquet"
    line = command_line(tmp_path, "retrain", sources, "--no-archive", "--every", "1s", "--json")
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=clean_environment()) as process:
        assert process.stdout is not None
        outcomes = [json.loads(process.stdout.readline())["outcome"]]
        write_events(tmp_path / "empty" / "events.parquet")
        while outcomes[-1] == "failed":
            outcomes.append(json.loads(process.stdout.readline())["outcome"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert outcomes[-1] == "published"
