"""Servers under measurement: one process each, spawned, on the loopback and a free port."""

import contextlib
import json
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from service.server import serve
from service.settings import read_settings

_START_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """Says where a server is and which processes it consists of."""

    address: str
    metrics_address: str
    processes: list[psutil.Process]

    def spent(self) -> float:
        """Give the processor time of all its processes so far, in seconds."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self.processes))

    def memory(self) -> int:
        """Give the resident bytes of all its processes."""
        return sum(process.memory_info().rss for process in self.processes)


@contextlib.contextmanager
def running_server(directory: Path, redis_url: str, **settings: object) -> Iterator[Server]:
    """Run ``dangol serve`` with settings in a process of its own."""
    with running(_serve, directory, redis_url, settings) as server:
        yield server


@contextlib.contextmanager
def running(run: Callable[..., None], directory: Path, *arguments: object) -> Iterator[Server]:
    """Run what writes ``ready.json`` into its directory, its first argument, once it listens."""
    directory.mkdir(parents=True)
    process = multiprocessing.get_context("spawn").Process(target=run, args=(str(directory), *arguments))
    process.start()
    ready = directory / "ready.json"
    deadline = time.monotonic() + _START_PATIENCE
    while not ready.exists():
        if process.exitcode is not None or time.monotonic() > deadline:
            msg = f"a server did not start; see {directory}"
            raise RuntimeError(msg)
        time.sleep(0.01)
    try:
        told = json.loads(ready.read_text())
        above = psutil.Process(process.pid)
        yield Server(told["address"], told.get("metrics_address", ""), [above, *above.children(recursive=True)])
    finally:
        process.terminate()
        process.join(30)


@contextlib.contextmanager
def running_program(
    command: Sequence[str], address: str, log: Path, environment: Mapping[str, str]
) -> Iterator[Server]:
    """Run any program that will listen on an address, and wait until it does; its output goes to ``log``."""
    host, _, port = address.rpartition(":")
    with log.open("wb") as output:
        process = psutil.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    deadline = time.monotonic() + _START_PATIENCE
    try:
        while not _listens(host, int(port)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command} does not listen; see {log}: {log.read_text()}")
            time.sleep(0.05)
        yield Server(address, "", [process])
    finally:
        process.terminate()
        process.wait(30)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((host, port)) == 0


def _serve(directory: str, redis_url: str, settings: dict[str, object]) -> None:
    home = Path(directory)
    os.dup2(os.open(home / "server.log", os.O_WRONLY | os.O_CREAT), 2)
    given = {"home": home, "listen": "127.0.0.1:0", "redis_url": redis_url, "ready_file": home / "ready.json"}
    serve(read_settings(**{**given, "drain_delay": 0.0, **settings}))
