"""Commands and servers as a person starts them: real processes, ended by what ends them in life."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PATIENCE = 60.0


def command_line(home: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "cli.main", "--home", str(home), *map(str, arguments)]


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DANGOL_")}


def dangol(home: Path, *arguments: object) -> list[dict[str, object]]:
    """Run a command with --json to its end and give the documents it printed."""
    result = subprocess.run(
        [*command_line(home, *arguments), "--json"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Run ``dangol serve`` and give its address; it must end by itself, with 0, when it is told to."""
    ready = home / "ready.json"
    ready.unlink(missing_ok=True)
    environment = clean_environment() | {"DANGOL_DRAIN_DELAY": "0"}
    arguments = ("serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off", "--ready-file", ready)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command_line(home, *arguments), stdout=log, stderr=log, env=environment)
    try:
        wait_until(ready.exists)
        yield json.loads(ready.read_text())["address"]
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def mentioning(place: Path) -> list[str]:
    """Give the command lines of the processes that have to do with a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(place) in line and process.pid != os.getpid():
            found.append(line)
    return found
