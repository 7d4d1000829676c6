import json
import subprocess
import sys

import pytest

from tests.cli.reference import PAGE, commands, page

COMMANDS = [path for path, _ in commands()]


def test_the_page_of_commands_says_what_the_help_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.cli.reference"


@pytest.mark.parametrize("path", [path for path in COMMANDS if path != "dangol"])
def test_every_command_teaches_with_an_example(path: str) -> None:
    [command] = [command for other, command in commands() if other == path]
    if not hasattr(command, "commands"):
        assert f"`{path}" in (command.help or "")


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_explained(path: str) -> None:
    [command] = [command for other, command in commands() if other == path]
    unexplained = [parameter.name for parameter in command.params if not getattr(parameter, "help", "")]
    assert unexplained == []


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_that_prints_something_prints_it_for_machines_too(path: str) -> None:
    [command] = [command for other, command in commands() if other == path]
    if not hasattr(command, "commands") and path not in {"dangol serve", "dangol worker"}:
        assert any("--json" in parameter.opts for parameter in command.params)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, cli.main\n"
        "try:\n"
        "    cli.main.run(['--help'])\n"
        "finally:\n"
        "    sys.stderr.write(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"duckdb", "google", "grpc", "implicit", "numpy", "pydantic", "redis", "scipy", "service", "training"}
    assert heavy.isdisjoint(json.loads(result.stderr))
    assert "recommend" in result.stdout
