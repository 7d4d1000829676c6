"""What a server process does whichever engine carries its calls: it names its address and obeys signals."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping

import structlog

from service.engines.engine import EngineSettings, TlsSettings
from service.settings import Settings, split_address


def engine_settings(settings: Settings) -> EngineSettings:
    """Give what concerns engines."""
    host, port = split_address(settings.listen)
    return EngineSettings(
        host=host,
        port=port,
        maximal_request_bytes=settings.maximal_request_bytes,
        maximal_response_bytes=settings.maximal_response_bytes,
        keepalive_time=settings.keepalive_time,
        keepalive_timeout=settings.keepalive_timeout,
        minimal_ping_interval=settings.minimal_ping_interval,
        maximal_connection_age=settings.maximal_connection_age,
        maximal_streams=settings.maximal_streams,
        maximal_waiting=settings.maximal_waiting,
        share_port=settings.share_port,
        tls=_tls_settings(settings),
    )


def _tls_settings(settings: Settings) -> TlsSettings | None:
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    return TlsSettings(settings.tls_certificate_file, settings.tls_key_file, settings.tls_client_ca_file)


def tell_ready(settings: Settings, port: int, metrics_port: int | None) -> None:
    """Say where the server listens: in the log and, when asked to, in a file that appears whole."""
    host, _ = split_address(settings.listen)
    addresses: dict[str, str | int] = {"address": f"{host}:{port}", "process_id": os.getpid()}
    if metrics_port is not None:
        addresses["metrics_address"] = f"{split_address(settings.metrics_listen)[0]}:{metrics_port}"
    structlog.get_logger("dangol").info("listening", engine=settings.engine, **addresses)
    write_ready_file(settings, addresses)


def write_ready_file(settings: Settings, facts: Mapping[str, object]) -> None:
    """Write facts as JSON into the ready file, if one is wanted; it appears whole."""
    if settings.ready_file is not None:
        beside = settings.ready_file.with_name(f".{settings.ready_file.name}.writing")
        beside.write_text(json.dumps(facts))
        beside.replace(settings.ready_file)


def stop_on_signals() -> asyncio.Event:
    """Give an event that SIGTERM and SIGINT set."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping
