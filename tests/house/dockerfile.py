"""The Dockerfile and its ignore file, read as far as the tests need."""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

from tests.house.repository import ROOT


@dataclass(frozen=True)
class Step:
    """Is one instruction of a Dockerfile."""

    stage: str
    instruction: str
    arguments: str


def steps() -> list[Step]:
    """Read the Dockerfile: continued lines joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "docker/Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: list[Step] = []
    stage = ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        instruction, _, arguments = line.strip().partition(" ")
        if instruction == "FROM":
            stage = arguments.rpartition(" AS ")[2]
        if instruction:
            found.append(Step(stage, instruction, arguments.strip()))
    return found


def in_context(path: Path) -> bool:
    """Tell whether the build context holds a file: the last pattern of the ignore file that fits decides."""
    held = True
    for line in (ROOT / "docker/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            wanted = pattern.startswith("!")
            if fnmatch.fnmatch(path.as_posix(), pattern.removeprefix("!")):
                held = wanted
    return held and "__pycache__" not in path.parts
