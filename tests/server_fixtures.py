"""Real server processes for tests, on loopback and a free port."""

import contextlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc

from models.candidates import CandidateList
from models.item_model import ItemModel
from models.progress import SilentProgress
from models.registry import Registry
from service.publisher import publish
from service.server import serve
from service.settings import read_settings
from service.store.connection import connect_blocking
from service.store.generation_record import GenerationRecord
from service.store.generation_store import GenerationStore
from tests.models_fixtures import write_artifact
from tests.redis_fixtures import patient

ENGINES = ("grpcio", "envoy")
# Forked from a process that has loaded what servers import and has never used gRPC: a start costs a tenth.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["service.server", "service.grpcio_server"])
_PATIENCE = 30.0  # seconds; only a broken server takes so long, and then the test fails anyway


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Is a server process that can be asked and stopped."""

    process: multiprocessing.process.BaseProcess
    address: str
    metrics_address: str
    log: Path
    redis_url: str

    @property
    def process_id(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.address)

    def terminate(self) -> int:
        """Send SIGTERM, wait for the end and give the exit code."""
        os.kill(self.process_id, signal.SIGTERM)
        self.process.join(_PATIENCE)
        assert self.process.exitcode is not None
        return self.process.exitcode

    def _whole_lines(self) -> list[str]:
        """Give the lines that are written to their end."""
        return self.log.read_text().rpartition("\n")[0].splitlines()

    def log_lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._whole_lines() if line.startswith("{")]


def _run(settings: Mapping[str, object], log: str) -> None:
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(target, 2)
    serve(read_settings(**settings))


@contextlib.contextmanager
def running_server(directory: Path, redis_url: str, **settings: object) -> Iterator[RunningServer]:
    """Start a server and wait until it listens; it is killed at the end unless it ended by itself."""
    directory.mkdir(parents=True, exist_ok=True)
    ready, log = directory / "ready.json", directory / "server.log"
    given: dict[str, object] = {
        "home": directory,
        "listen": "127.0.0.1:0",
        "redis_url": redis_url,
        "ready_file": ready,
        "engine": "grpcio",  # begins sooner; tests of both name theirs
        "drain_delay": 0.0,
    }
    process = _PROCESSES.Process(target=_run, args=(given | settings, str(log)))
    process.start()
    try:
        wait_until(lambda: ready.exists() or process.exitcode is not None)
        assert ready.exists(), log.read_text()
        told = json.loads(ready.read_text())
        yield RunningServer(process, told["address"], told.get("metrics_address", ""), log, redis_url)
    finally:
        if process.exitcode is None:
            process.kill()
        process.join()


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as a condition holds; fail when it does not for half a minute."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def publish_model(
    redis_url: str, directory: Path, model: ItemModel, lists: Mapping[str, CandidateList]
) -> GenerationRecord:
    """Write a model to a registry in the directory and publish it."""
    registry = Registry(directory / "models")
    manifest = write_artifact(registry, model, lists)
    registry.promote(manifest.model_version)
    with connect_blocking(patient(redis_url)) as connection:
        return publish(registry, None, GenerationStore(connection), "local", SilentProgress())
