"""What is committed: nothing of one person's machine or registry, and versions that agree."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.house.repository import ROOT, committed_files

# In pieces, so that this file does not hold what it looks for.
FORBIDDEN = re.compile(
    "|".join(
        [
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "index" + "-url",
            "(?<![A-Za-z0-9_.-])/(?:ro" + "ot|ho" + "me|wo" + r"rk)/",
            r"\bfa" + "rm-[a-z]",
            r"\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}\b",
            "TO" + "DO|FIX" + "ME|type: ig" + "nore|mark\\.sk" + "ip|pytest\\.sk" + "ip|mark\\.xf" + "ail",
        ]
    )
)
BINARY = {".npz", ".parquet", ".gz", ".png"}
LOCKS = ("bootstrap", "build", "dev", "runtime")


def locked(name: str) -> dict[str, str]:
    """Give the versions of a lock by package."""
    text = (ROOT / f"locks/{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z0-9,-]+\])?==([^ ;\\]+)", text, flags=re.MULTILINE))


def test_no_committed_file_names_a_registry_a_machine_or_something_unfinished() -> None:
    found = [
        f"{path}:{number}: {match[0]}"
        for path in committed_files()
        if path.suffix not in BINARY and not path.match("dangol/v1/*_pb2*")
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if (match := FORBIDDEN.search(line))
    ]
    assert found == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_address(name: str) -> None:
    text = (ROOT / f"locks/{name}.txt").read_text(encoding="utf-8")
    assert re.findall(r"\S*(?:://|@ |--(?:extra-)?index|--find|--trusted)\S*", text) == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_hashes_for_every_package(name: str) -> None:
    text = (ROOT / f"locks/{name}.txt").read_text(encoding="utf-8")
    without = [
        name for name, rest in re.findall(r"^([a-z0-9-]+)\S*==(.*)$", text, flags=re.MULTILINE) if "\\" not in rest
    ]
    assert without == []


@pytest.mark.parametrize("name", ["build", "runtime"])
def test_the_image_gets_the_versions_that_were_tested(name: str) -> None:
    assert locked(name).items() <= locked("dev").items()


def test_every_direct_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["project"]["dependencies"]
    names = {re.split(r"[^a-z0-9-]", requirement)[0] for requirement in listed}
    assert names <= locked("runtime").keys()


def test_the_changelog_tells_of_the_current_version() -> None:
    assert f"## [{version('dangol')}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_every_script_can_be_run() -> None:
    scripts = [path for path in committed_files() if (ROOT / path).read_bytes()[:2] == b"#!"]
    assert scripts
    assert [path for path in scripts if not (ROOT / path).stat().st_mode & 0o100] == []


def test_what_is_made_is_not_committed() -> None:
    made = {"__pycache__", ".venv", "bench-results", "dist"}
    assert [path for path in committed_files() if made & set(Path(path).parts)] == []
