"""A fresh clone in an empty folder, set up from nothing but Python, as somebody new does it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.repository import ROOT

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "dangol"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    make(folder, "setup")
    return folder


def make(folder: Path, *arguments: str) -> str:
    """Run make in a folder with this Python, outside of every virtual environment, and give what it printed."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "MAKEFLAGS"}}
    done = subprocess.run(
        ["make", "--silent", *arguments, f"PYTHON={python}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_fresh_clone_has_the_command(clone: Path) -> None:
    told = subprocess.run([clone / ".venv/bin/dangol", "--version"], check=True, capture_output=True, text=True)
    assert told.stdout.startswith("dangol ")


def test_setting_up_again_does_nothing(clone: Path) -> None:
    assert make(clone, "setup") == ""


def test_a_changed_lock_is_installed(clone: Path) -> None:
    os.utime(clone / "locks/dev.txt")
    assert "Installing" in make(clone, "setup")


def test_the_generated_code_of_a_fresh_clone_is_current(clone: Path) -> None:
    make(clone, "protos-check")
