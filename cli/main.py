"""The entry point of ``dangol``: gathers the commands and ends each with a line and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from cli import (
    audience,
    catalog_groups,
    customers_group,
    demo_command,
    erasures_group,
    evaluate,
    events,
    exports,
    log_groups,
    models_group,
    offers,
    online,
    publish,
    pushes_group,
    retrain,
    train,
    tune,
    worker,
)
from cli.errors import ExitCode, ending_of
from cli.session import DEFAULT_HOME, Session, TlsFiles

HELP = """Dangol knows your customers: which offers to show this person, here, now, and why.

See it work on real purchases: `dangol demo`.

With your own: `dangol train purchases.parquet`, `dangol publish`, `dangol serve`, `dangol recommend CUSTOMER`.
"""

app = typer.Typer(
    name="dangol", help=HELP, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False
)
for module in (
    demo_command,
    train,
    retrain,
    tune,
    publish,
    models_group,
    online,
    worker,
    offers,
    audience,
    events,
    catalog_groups,
    customers_group,
    pushes_group,
    erasures_group,
    evaluate,
    exports,
    log_groups,
):
    module.add_to(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dangol {version('dangol')}")
        raise typer.Exit


@app.callback()
def options_of_all(
    context: typer.Context,
    home: Annotated[
        Path, typer.Option(envvar="DANGOL_HOME", help="Where models, the private Redis and caches are kept.")
    ] = DEFAULT_HOME,
    tls_authorities: Annotated[
        Path | None, typer.Option(envvar="DANGOL_TLS_AUTHORITIES", help="PEM file of authorities; turns TLS on.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(envvar="DANGOL_TLS_CERTIFICATE", help="PEM file to show the server, for mutual TLS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="DANGOL_TLS_KEY", help="PEM file of that certificate's key.")
    ] = None,
    tls_server_name: Annotated[
        str, typer.Option(envvar="DANGOL_TLS_SERVER_NAME", help="The name in the server's certificate.")
    ] = "",
    trace: Annotated[
        bool, typer.Option("--trace", help="Let an error show where it comes from, to report it.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take what stands before the command."""
    del trace, version
    context.obj = Session(home, TlsFiles(tls_authorities, tls_certificate, tls_key, tls_server_name))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code; what went wrong stands on stderr in one line."""
    command = typer.main.get_command(app)
    try:
        result = command(args=list(arguments), prog_name="dangol", standalone_mode=False)
    except typer.TyperException as error:
        message = " ".join(error.format_message().split())
        return _ended(f"{message} (`dangol --help` shows what there is)" if message else "", error.exit_code)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; Python must not complain about it while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except (Exception, KeyboardInterrupt) as error:
        if "--trace" in arguments:
            raise
        ending = ending_of(error)
        return _ended(ending.line, ending.code)
    return result if isinstance(result, int) else ExitCode.FINE


def _ended(line: str, code: int) -> int:
    if line:
        sys.stderr.write(f"dangol: {line}\n")
    return code


def main() -> None:
    """Run the command line that the process was started with."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
