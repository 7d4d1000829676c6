"""A shop that is turned over while it serves: a generation published, and every item and offer replaced."""

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.shop import catalog
from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import publish
from service.store.catalog_store import apply_blocking
from service.store.connection import RedisSettings, connect_blocking
from service.store.generation_store import GenerationStore

_TENANT = "local"


class Turnover:
    """Turns the shop over in a process of its own, once each time it is told to."""

    def __init__(self, connection: "Connection[float, float]") -> None:
        self._connection = connection

    def begin(self, delay: float) -> None:
        """Begin in ``delay`` seconds, once what is to be stored is made."""
        self._connection.send(delay)
        self._connection.recv()

    def end(self) -> float:
        """Wait for the end, and give the seconds that it took."""
        return self._connection.recv()


@contextlib.contextmanager
def turnover(registry: Path, redis_url: str, items: int, offers: int) -> Iterator[Turnover]:
    """Have a process that publishes the newest model of a registry and replaces ``items`` and ``offers``."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(str(registry), redis_url, items, offers, there))
    process.start()
    try:
        yield Turnover(here)
    finally:
        process.terminate()
        process.join()


def _serve(registry: str, redis_url: str, items: int, offers: int, connection: "Connection[float, float]") -> None:
    models = Registry(Path(registry))
    with connect_blocking(RedisSettings(redis_url)) as redis:
        while True:
            delay = connection.recv()
            # Made before the load begins: a shop's own system has them.
            changes = list(catalog(items, offers, np.random.default_rng(time.monotonic_ns())))
            connection.send(0.0)
            time.sleep(delay)
            begin = time.monotonic()
            publish(models, models.versions()[0], GenerationStore(redis), _TENANT, SilentProgress())
            for change in changes:
                apply_blocking(redis, _TENANT, change)
            connection.send(time.monotonic() - begin)
