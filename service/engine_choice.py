"""Which engine carries the calls, and why."""

from collections.abc import Callable
from typing import NamedTuple

from models.errors import InvalidInputError
from service.engines.envoy.availability import obstacle
from service.settings import Settings

_ENVOY_ONLY = ("web_origins", "access_log", "envoy_admin")
_GRPCIO_ONLY = ("maximal_waiting", "minimal_ping_interval")
"""What each engine has alone; also ``json_calls`` of Envoy, which is on by default and so no wish for it."""


class EngineChoice(NamedTuple):
    """Is an engine, ``envoy`` or ``grpcio``, and why it is that one, for people."""

    engine: str
    reason: str


def choose_engine(settings: Settings, find_obstacle: Callable[[], str | None] = obstacle) -> EngineChoice:
    """Give the engine that serves: the one asked for, and for ``auto`` Envoy unless it cannot run or do what is set.

    ``find_obstacle`` says what Envoy lacks here, and None when it can run.
    InvalidInputError naming ``engine`` when Envoy is asked for and cannot run here, or what is set has one engine only
    and another thing that is set the other; naming the setting when ``auto`` finds no Envoy for it.
    """
    if settings.engine == "grpcio":
        return EngineChoice("grpcio", "it is asked for")
    missing = find_obstacle()
    if settings.engine == "envoy":
        check_envoy(missing)
        return EngineChoice("envoy", "it is asked for")
    envoy_only, grpcio_only = _changed(settings, _ENVOY_ONLY), _changed(settings, _GRPCIO_ONLY)
    if missing is not None:
        if envoy_only:
            raise InvalidInputError(envoy_only, f"needs the engine envoy, which cannot run here: {missing}")
        return EngineChoice("grpcio", f"envoy cannot run here: {missing}")
    if grpcio_only and envoy_only:
        raise InvalidInputError("engine", f"only envoy has {envoy_only}, only grpcio {grpcio_only}: name the engine")
    if grpcio_only:
        return EngineChoice("grpcio", f"only it has {grpcio_only}, which is set")
    return EngineChoice("envoy", "it can run here")


def check_envoy(missing: str | None) -> None:
    """InvalidInputError naming ``engine`` when something is missing for Envoy."""
    if missing is not None:
        raise InvalidInputError("engine", f"envoy cannot run here: {missing}")


def _changed(settings: Settings, names: tuple[str, ...]) -> str:
    """Give the first of these settings that differs from its default, or nothing."""
    fields = Settings.model_fields
    return next((name for name in names if getattr(settings, name) != fields[name].default), "")
