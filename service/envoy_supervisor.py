"""The process above Envoy: starts it, says when it serves, drains it, and does not outlive it."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import structlog

from models.errors import UnavailableError
from service.engines.envoy.configuration import configuration
from service.engines.envoy.process import EnvoyProcess, check_port
from service.engines.envoy.settings import Configuration, EnvoySettings
from service.handlers.contract import SERVICES
from service.lifeline import or_raise
from service.process import engine_settings, stop_on_signals, tell_ready
from service.settings import Settings, hand_over

APPLICATION = "service.envoy_application:application"
_ADMIN_SOCKET = "admin.sock"
_OFFERS = "/dangol.v1.OfferService/"
_LIMITED_PATHS = tuple(_OFFERS + method for method in ("RecommendOffers", "RankItems", "ListSimilarItems"))
"""What all callers ask most. Calls that take long by nature are left to the admission inside, health to nobody."""


async def supervise(settings: Settings, redis_url: str) -> None:
    """Serve in Envoy until SIGTERM or SIGINT, then drain it and return. UnavailableError when Envoy ends by itself."""
    log = structlog.get_logger("dangol")
    stopping = stop_on_signals()
    with tempfile.TemporaryDirectory(prefix="dangol-") as temporary:
        admin = admin_address(settings, Path(temporary))
        engine = engine_settings(settings)
        if not engine.share_port:
            check_port(engine.host, engine.port)
        written = envoy_configuration(settings, admin)
        envoy = await EnvoyProcess.start(Path(temporary), written, admin, settings.log_level)
        try:
            envoy.lifeline.tell(settings=hand_over(settings, redis_url=redis_url))
            ready = or_raise(await envoy.wait_until_ready())
            tell_ready(settings, await envoy.wait_for_port(), ready["metrics_port"])
            await _until_stopped(stopping, envoy)
            await _drain(envoy, settings, log)
        finally:
            await envoy.stop()
    log.info("stopped")


def envoy_configuration(settings: Settings, admin: str) -> Configuration:
    """Write the configuration that Envoy gets; ``admin`` is HOST:PORT or the path of a unix socket."""
    envoy = EnvoySettings(
        admin=admin,
        limited_paths=_LIMITED_PATHS,
        maximal_calls=settings.maximal_calls,
        # What waits for a slow Redis takes no longer than this; what takes longer waits for the processor.
        wanted_seconds=settings.read_timeout,
        json_services=SERVICES if settings.json_calls else (),
        web_origins=settings.web_origins,
        access_log=settings.access_log,
    )
    return configuration(engine_settings(settings), envoy, APPLICATION)


def admin_address(settings: Settings, directory: Path) -> str:
    """Give where Envoy takes orders: the address that is set, or else a socket that only this user can open."""
    return str(directory / _ADMIN_SOCKET) if settings.envoy_admin == "off" else settings.envoy_admin


async def _until_stopped(stopping: asyncio.Event, envoy: EnvoyProcess) -> None:
    """Wait for the signal. Raises when Envoy ends before it, or says that it cannot go on."""
    waiting = asyncio.create_task(stopping.wait())
    ended = asyncio.create_task(envoy.wait_until_ended())
    word = asyncio.create_task(envoy.lifeline.hear())
    await asyncio.wait((waiting, ended, word), return_when=asyncio.FIRST_COMPLETED)
    for task in (waiting, ended, word):
        task.cancel()
    if waiting.done():
        return
    if word.done() and (heard := word.result()) is not None:
        or_raise(heard)
    raise UnavailableError("Envoy ended by itself; its log says why")


async def _drain(envoy: EnvoyProcess, settings: Settings, log: structlog.stdlib.BoundLogger) -> None:
    """Say NOT_SERVING, give balancers a moment to notice, send callers elsewhere, and let calls in flight finish."""
    log.info("draining")
    envoy.lifeline.tell(order="health-off")
    # An Envoy that died meanwhile has nothing left to drain.
    with contextlib.suppress(OSError):
        await envoy.fail_health_check()
        await asyncio.sleep(settings.drain_delay)
        envoy.lifeline.tell(order="end-watches")
        await envoy.drain()
    envoy.lifeline.tell(order="finish", timeout=settings.drain_timeout)
    heard = await envoy.lifeline.hear()
    if heard is None or heard["in_flight"]:
        log.warning("calls were cut off", in_flight=heard and heard["in_flight"])
