"""``dangol demo``: the whole way on real purchases."""

from typing import Annotated

import typer

from cli.session import Json, session_of


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(rich_help_panel="See it work")(demo)


def demo(
    context: typer.Context,
    shown: Annotated[int, typer.Option("--shown", min=1, max=20, help="How many households to show in detail.")] = 3,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server running and say where.")] = False,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train even if nothing has changed.")] = False,
    households: Annotated[
        int, typer.Option("--households", min=0, hidden=True, help="Only the busiest, to be quick.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Learn from a year of real groceries, serve, and see what was offered and what was then bought.

    Needs the data set: `pip install 'dangol[demo]'`. Everything is kept under `.dangol/demo`; Ctrl-C stops it cleanly.

    Example: `dangol demo --keep`
    """
    from cli.demo.run import DemoOptions, run_demo

    run_demo(session_of(context), DemoOptions(shown, households, keep, retrain, as_json))
