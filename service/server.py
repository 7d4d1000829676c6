"""The server's process: chooses the engine and hands over to what runs it, one process or several."""

from pathlib import Path

import structlog
import uvloop

from service.engine_choice import check_envoy, choose_engine
from service.engines.envoy.availability import obstacle
from service.engines.envoy.configuration import as_text
from service.envoy_supervisor import admin_address, envoy_configuration, supervise
from service.fleet import supervise_fleet
from service.logs import configure_logs
from service.redis_place import redis_url
from service.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return.

    InvalidInputError when an address cannot be had, or when the engine that is asked for cannot run here.
    """
    configure_logs(settings.log_level)
    engine, reason = choose_engine(settings)
    structlog.get_logger("dangol").info("engine", engine=engine, reason=reason)
    chosen = settings.model_copy(update={"engine": engine})
    with redis_url(chosen) as url:
        uvloop.run(serve_alone(chosen, url) if chosen.processes == 1 else supervise_fleet(chosen, url))


async def serve_alone(settings: Settings, redis_url: str) -> None:
    """Serve with one process and the engine that is chosen; ends and errors as :func:`serve`."""
    if settings.engine == "envoy":
        await supervise(settings, redis_url)
    else:
        # What answers calls takes a second to load; the supervisors do without.
        from service.grpcio_server import serve_with_grpcio  # noqa: PLC0415

        await serve_with_grpcio(settings, redis_url)


def envoy_configuration_text(settings: Settings) -> str:
    """Give, as JSON, the configuration that Envoy gets. InvalidInputError when Envoy cannot run here."""
    check_envoy(obstacle())
    return as_text(envoy_configuration(settings, admin_address(settings, Path("/run/dangol"))))
