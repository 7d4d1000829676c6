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
    """Run make as :func:`try_to_make` does, see it succeed and give what it printed."""
    done = try_to_make(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def try_to_make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder with this Python, outside of every virtual environment."""
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "MAKEFLAGS"}}
    return subprocess.run(
        ["make", "--silent", *arguments, f"PYTHON={python}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("string customer_id = 1;", "string customer_id = 99;"),
        ("int32 page_size = 3;", "int64 page_size = 3;"),
        ("// Asks for offers for one customer.\n", ""),
    ],
)
def test_a_change_that_breaks_the_contract_is_refused(before: str, after: str, clone: Path) -> None:
    contract = clone / "protos/dangol/v1/offer_service.proto"
    text = contract.read_text(encoding="utf-8")
    assert before in text
    contract.write_text(text.replace(before, after, 1), encoding="utf-8")
    try:
        make(clone, "protos")
        refused = try_to_make(clone, "protos-check")
    finally:
        contract.write_text(text, encoding="utf-8")
        make(clone, "protos")
    assert refused.returncode != 0


def test_generated_code_that_lags_behind_the_contract_is_refused(clone: Path) -> None:
    generated = clone / "dangol/v1/offer_service_pb2.pyi"
    text = generated.read_text(encoding="utf-8")
    generated.write_text(text + "\n", encoding="utf-8")
    refused = try_to_make(clone, "protos-check")
    generated.write_text(text, encoding="utf-8")
    assert "run make protos" in refused.stderr
