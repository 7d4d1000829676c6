"""``dangol serve`` and ``health``: the server process and how it does."""

from pathlib import Path
from typing import Annotated

import typer

from cli.output import answer
from cli.session import DEFAULT_ADDRESS, Address, Json, Timeout, session_of


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(rich_help_panel="Learn and publish")(serve)
    app.command(rich_help_panel="Ask a server")(health)


def serve(
    context: typer.Context,
    listen: Annotated[
        str | None, typer.Option("--listen", "-l", help="Where; port 0: a free one.", metavar="HOST:PORT")
    ] = None,
    metrics_listen: Annotated[
        str | None, typer.Option("--metrics-listen", help="Where Prometheus reads; `off`: nowhere.")
    ] = None,
    redis_url: Annotated[
        str | None, typer.Option("--redis-url", help="Your own Redis; without one a private one is started.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="The shop that is served.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option("--ready-file", help="Where to write the addresses once they are open.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", help="How many processes; each takes a core and a port of its own.")
    ] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="The transport: auto, envoy or grpcio.")] = None,
    log_level: Annotated[str | None, typer.Option("--log-level", help="debug, info, warning or error.")] = None,
    print_envoy_config: Annotated[
        bool, typer.Option("--print-envoy-config", help="Only show, as JSON, how Envoy would be configured.")
    ] = False,
) -> None:
    """Serve offers over gRPC until Ctrl-C or SIGTERM; calls in flight are finished first.

    Every setting can also be given in the environment, as `DANGOL_LISTEN`: docs/operations.md lists them.

    Example: `dangol serve --listen 0.0.0.0:7411`
    """
    from service.server import envoy_configuration_text
    from service.server import serve as run_server
    from service.settings import read_settings

    options = {
        "listen": listen,
        "metrics_listen": metrics_listen,
        "redis_url": redis_url,
        "tenant": tenant,
        "ready_file": ready_file,
        "processes": processes,
        "engine": engine,
        "log_level": log_level,
    }
    given = {name: value for name, value in options.items() if value is not None}
    settings = read_settings(home=session_of(context).home, **given)
    if print_envoy_config:
        typer.echo(envoy_configuration_text(settings), nl=False)
    else:
        run_server(settings)


def health(
    context: typer.Context,
    service: Annotated[
        str, typer.Argument(help="Such as `dangol.v1.OfferService`; the whole server unless given.")
    ] = "",
    address: Address = DEFAULT_ADDRESS,
    worker: Annotated[
        str, typer.Option("--worker", help="Ask the page of a worker instead.", metavar="HOST:PORT")
    ] = "",
    timeout: Timeout = 1.0,
    as_json: Json = False,
) -> None:
    """Tell whether a server serves, or a worker is well: exit code 0 if so, 5 if not. Fit for a container's check.

    Example: `dangol health --address 127.0.0.1:7411`
    """
    from models.errors import UnavailableError

    if worker:
        _answer_of_worker(worker, timeout, as_json)
        return
    with session_of(context).client(address, timeout) as client:
        serving = client.serving(service)
    if not serving and not as_json:
        raise UnavailableError(f"{service or 'the server'} at {address} runs but does not serve: is a model published?")
    answer({"serving": serving}, as_json, lambda console: console.print(f"{service or 'the server'} serves"))
    if not serving:
        raise typer.Exit(5)


def _answer_of_worker(address: str, timeout: float, as_json: bool) -> None:
    from http.client import HTTPConnection, HTTPException

    from models.errors import UnavailableError

    connection = HTTPConnection(address, timeout=timeout)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        found = response.read().decode(errors="replace").strip()
    except (HTTPException, OSError) as error:
        raise UnavailableError(f"no worker answers at {address}") from error
    finally:
        connection.close()
    is_well = response.status == 200
    if not is_well and not as_json:
        raise UnavailableError(f"the worker at {address} is not well: {found}")
    answer(
        {"well": is_well, "problem": "" if is_well else found},
        as_json,
        lambda console: console.print("the worker is well"),
    )
    if not is_well:
        raise typer.Exit(5)
