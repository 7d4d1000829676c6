"""``dangol retrain``: learn from the archive, pass the gate, publish; once, or again and again."""

import re
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.errors import ExitCode, ending_of
from cli.interrupts import ending_in_order
from cli.learning import configuration_of, mapping_of
from cli.output import answer, people, print_json, progress_bars
from cli.publish import RedisUrl, Tenant
from cli.session import Json, session_of
from cli.training_inputs import ConfigurationFile, MappingFile

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="Learn and publish")(retrain)


def retrain(
    context: typer.Context,
    source: Annotated[
        list[str] | None,
        typer.Argument(help="Events besides the archive: files, globs or folders.", metavar="SOURCE..."),
    ] = None,
    every: Annotated[
        str, typer.Option("--every", help="Again and again, a start each so long: `30m`, `6h`, `1d`.", metavar="TIME")
    ] = "",
    archive: Annotated[bool, typer.Option(help="Learn from the archive of recorded events.")] = True,
    mapping: MappingFile = None,
    configuration: ConfigurationFile = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many of the newest models to keep.")] = 5,
    redis_url: RedisUrl = "",
    tenant: Tenant = "",
    as_json: Json = False,
) -> None:
    """Train from the archive of events, pass the gate, publish, and say what was done.

    A fit begins with the factors of the newest model that knows nothing after its cut. What the gate refuses stays in
    the registry, and what was served goes on being served: exit code 1. Two retrainings of one home exclude each other.

    Examples: `dangol retrain`, `dangol retrain --every 6h --json`
    """
    from cli.publishing import RedisTarget
    from cli.retraining import REFUSED, Recipe
    from cli.retraining import retrain as run_retraining
    from models.errors import PreconditionError

    session, target = session_of(context), RedisTarget(redis_url, tenant)
    recipe = Recipe(source or [], archive, mapping_of(mapping), configuration_of(configuration), keep)
    pause = _seconds(every) if every else None

    def once() -> None:
        with progress_bars(not as_json) as progress:
            done = run_retraining(session, target, recipe, progress)
        answer(done.document(), as_json, lambda console: console.print(done.line()))
        if done.outcome == REFUSED and pause is None:
            raise PreconditionError(f"the gate refused {done.model_version} ({', '.join(done.failed)})")

    if pause is None:
        once()
    else:
        _again_and_again(once, pause, as_json)


def _again_and_again(once: Callable[[], None], pause: float, as_json: bool) -> None:
    """Begin every ``pause`` seconds until Ctrl-C or SIGTERM, whatever became of the last; late ones are left out."""
    begin = time.monotonic()
    try:
        with ending_in_order():
            while True:
                _tried(once, as_json)
                passed = (time.monotonic() - begin) % pause
                time.sleep(pause - passed)
    except KeyboardInterrupt:
        return


def _tried(once: Callable[[], None], as_json: bool) -> None:
    try:
        once()
    except Exception as error:
        # The next start may go well, and whoever watches is told.
        ending = ending_of(error)
        if ending.code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt from error
        document: dict[str, Any] = {"outcome": "failed", "problem": ending.line, "code": int(ending.code)}
        if as_json:
            print_json(document)
        else:
            people().print(f"[red]✗[/red] failed: {ending.line}")


def _seconds(text: str) -> float:
    """Read a time such as 30m. A usage error when it is none, or shorter than a second."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if found is None or int(found[1]) == 0:
        raise typer.BadParameter(f"{text!r} is not a time such as 30m, 6h or 1d", param_hint="--every")
    return int(found[1]) * _SECONDS[found[2]]
