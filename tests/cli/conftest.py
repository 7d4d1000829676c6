from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import run
from tests.shop import write_events

Command = Callable[..., int]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run commands in an empty folder, with nothing set."""
    for name in ("DANGOL_HOME", "DANGOL_ADDRESS", "DANGOL_REDIS_URL", "DANGOL_TENANT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def dangol() -> Command:
    """Run one command line in this process and give its exit code."""
    return lambda *arguments: run([str(argument) for argument in arguments])


@pytest.fixture
def purchases(tmp_path: Path) -> Path:
    """Give a file with the events of a tiny shop."""
    return write_events(tmp_path / "events.parquet")
