"""The Makefile: what it promises exists, and help tells of it."""

import re
import subprocess

from tests.house.repository import ROOT, make_targets

PROMISED = {
    "setup", "demo", "test", "test-long", "lint", "types", "protos", "protos-check", "lock", "bench", "bench-train",
    "bench-publish", "bench-serving", "figures", "image-check", "docs-check", "ci", "clean",
}  # fmt: skip


def test_every_promised_target_exists() -> None:
    assert make_targets() >= PROMISED


def test_make_alone_tells_of_every_target() -> None:
    told = subprocess.run(["make", "--silent"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) ", told, flags=re.MULTILINE)) == make_targets()


def test_continuous_integration_runs_what_people_are_told_to_run() -> None:
    commands = [line for line in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines() if "make" in line]
    assert commands == ["exec make ci"]
