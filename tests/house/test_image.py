"""The image without an engine: its own install steps, performed in an empty folder, and the server run from there."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.house.dockerfile import Step, in_context, steps
from tests.house.repository import ROOT, code_blocks
from tests.shop import customer_name, write_events

pytestmark = pytest.mark.image

BUILD = "/build"
PRODUCT = "/opt/dangol"


@dataclass(frozen=True)
class Image:
    """Is the folder that stands for the root of the file system, and the environment of a process in it."""

    root: Path
    environment: dict[str, str]

    def run(self, *command: str, timeout: float = 120) -> str:
        """Run a command to its end and give what it printed."""
        finished = subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    def program(self, name: str) -> str:
        """Give the path of a program that the image installs."""
        return f"{self.root}{PRODUCT}/bin/{name}"


def copy(arguments: str, target: Path) -> None:
    """Perform a COPY from the context."""
    *sources, destination = arguments.split()
    for source in sources:
        origin = ROOT / source
        files = [origin] if origin.is_file() else [path for path in origin.rglob("*") if path.is_file()]
        for path in files:
            if not in_context(path.relative_to(ROOT)):
                continue
            inside = path.name if origin.is_file() else path.relative_to(origin).as_posix()
            place = target / destination / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def perform(step: Step, image: Image) -> None:
    """Perform one step of the stage ``build`` below the image's root."""
    if step.instruction == "COPY":
        copy(step.arguments, Path(f"{image.root}{BUILD}"))
    elif step.instruction == "RUN":
        command = re.sub(rf"(?<!\S)({BUILD}|{PRODUCT})", rf"{image.root}\1", step.arguments)
        replace(image, root=Path(f"{image.root}{BUILD}")).run("/bin/sh", "-ec", command, timeout=900)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Perform the install steps of the Dockerfile, with this Python in the place of the base image's."""
    root = tmp_path_factory.mktemp("image")
    programs = root / "usr/bin"
    for folder in (programs, root / "build", root / "opt", root / "home"):
        folder.mkdir(parents=True)
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DANGOL_", "PYTEST", "VIRTUAL"))}
    image = Image(root, kept | {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(root / "home")})
    for step in steps():
        if step.stage == "build":
            perform(step, image)
    return replace(image, environment=image.environment | {"PYTHONDONTWRITEBYTECODE": "1"})


@pytest.fixture(scope="module")
def home(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and publish as the trainer image does, and give the folder that all of it is kept in."""
    home = tmp_path_factory.mktemp("shop")
    events = write_events(home / "purchases.csv")
    image.run(image.program("dangol"), "--home", str(home), "train", str(events))
    image.run(image.program("dangol"), "--home", str(home), "publish")
    return home


@pytest.fixture
def address(image: Image, home: Path) -> Iterator[str]:
    """Start the image's server, give its address, and see it end well on SIGTERM."""
    ready = home / "ready.json"
    ready.unlink(missing_ok=True)
    command = [image.program("dangol"), "--home", str(home), "serve", "--listen", "127.0.0.1:0"]
    environment = image.environment | {"DANGOL_DRAIN_DELAY": "0"}
    with subprocess.Popen([*command, "--ready-file", str(ready)], cwd=image.root, env=environment) as server:
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert server.poll() is None, "the server ended before it listened"
            assert time.monotonic() < deadline, "the server did not listen"
            time.sleep(0.05)
        yield json.loads(ready.read_text())["address"]
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def test_the_server_of_the_image_is_healthy(image: Image, address: str) -> None:
    assert "serves" in image.run(image.program("dangol"), "health", "--address", address)


def test_the_server_of_the_image_ranks_for_a_customer(image: Image, address: str) -> None:
    answer = image.run(image.program("dangol"), "recommend", customer_name(1), "--address", address, "--json")
    assert "item-" in answer


def test_the_example_of_the_readme_runs(image: Image, address: str) -> None:
    (example,) = [content for language, content in code_blocks(Path("README.md")) if language == "python"]
    mine = example.replace("127.0.0.1:7411", address).replace("customer-7", customer_name(1))
    assert "item-" in image.run(image.program("python"), "-c", mine)


def test_serving_writes_nothing_into_the_image(image: Image, address: str) -> None:
    def contents() -> dict[str, int]:
        files = (path for path in Path(f"{image.root}{PRODUCT}").rglob("*") if path.is_file())
        return {str(path): path.stat().st_mtime_ns for path in files}

    before = contents()
    image.run(image.program("dangol"), "health", "--address", address)
    assert contents() == before


def test_the_image_holds_what_the_runtime_lock_names(image: Image) -> None:
    listed = image.run(
        image.program("python"), "-c", "import importlib.metadata as m; [print(d.name) for d in m.distributions()]"
    )
    lock = (ROOT / "locks/runtime.txt").read_text(encoding="utf-8")
    locked = re.findall(r"^([a-z0-9-]+)==", lock, flags=re.MULTILINE)
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in listed.split()}
    assert installed <= {*locked, "dangol"}
    assert "dangol" in installed
