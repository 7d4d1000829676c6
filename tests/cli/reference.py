"""Writes docs/commands.md from the commands themselves: ``python -m tests.cli.reference``."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from cli.errors import ExitCode
from cli.main import app

Documented = TyperCommand | TyperGroup

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

OPENING = """# Commands

`dangol` is one program for everything: learning, publishing, serving, asking. This page is written from the help of the
commands by `python -m tests.cli.reference`, and a test fails when it no longer agrees; `dangol COMMAND --help` says
the same.

**Where things are kept.** Under `--home` (or `DANGOL_HOME`, default `.dangol` in the working directory): models in
`models/`, the private Redis in `redis/`, the demo with all of its own in `demo/`. Commands that need Redis
use `DANGOL_REDIS_URL` when it is set, else they start the private Redis and stop it when nobody needs it any more.

**For machines.** `--json` prints one JSON document on one line; the lists print one line for each thing, which
`upsert` and `record --file` take back. Messages of the API are written in protobuf's JSON form under the names of the
contract; 64-bit integers are strings there.

**For people.** Tables and progress bars appear on a terminal; into a pipe goes plain text, and no progress.

**When it goes wrong.** One line on stderr says what, and what to do next; never a trace, unless `--trace` asks for one.

| exit code | means |
| --- | --- |
"""

EXIT_CODES = {
    ExitCode.FINE: "done",
    ExitCode.FAILED: "failed, or refused in the present state; the line says what to do first",
    ExitCode.USAGE: "the command line cannot be understood",
    ExitCode.BAD_INPUT: "a file, field or value cannot be used; the line names it",
    ExitCode.NOT_FOUND: "something named does not exist",
    ExitCode.UNAVAILABLE: "the server or Redis cannot be reached or did not answer in time; try again later",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C; nothing is left running",
}


def page() -> str:
    """Give the whole page."""
    codes = "".join(f"| {int(code)} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    return OPENING + codes + "\n" + "\n".join(_section(path, command) for path, command in commands())


def commands() -> Iterator[tuple[str, Documented]]:
    """Give every command with its path, groups before what is in them."""
    yield from _walk("dangol", cast("TyperGroup", typer.main.get_command(app)))


def _walk(path: str, command: Documented) -> Iterator[tuple[str, Documented]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _walk(f"{path} {name}", inner)


def _section(path: str, command: Documented) -> str:
    title = f"{'##' if path.count(' ') < 2 else '###'} {path}\n"
    text = (command.help or "").strip()
    parameters = cast("list[TyperOption | TyperArgument]", command.params)
    rows = [_row(parameter) for parameter in parameters if not parameter.hidden]
    table = "| | |\n| --- | --- |\n" + "\n".join(rows) + "\n" if rows else ""
    return "\n".join(part for part in (title, text + "\n", table) if part)


def _row(parameter: TyperOption | TyperArgument) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.metavar or parameter.name.upper()}`"
    notes = [getattr(parameter, "help", None) or ""]
    default = parameter.default
    if default not in (None, "", False, ()) and not callable(default) and not parameter.required:
        notes.append(f"Default: `{default}`.")
    if parameter.envvar:
        notes.append(f"Environment: `{parameter.envvar}`.")
    return f"| {names} | {' '.join(notes)} |".replace("  ", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
