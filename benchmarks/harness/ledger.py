"""Kills everything that carries events, again and again, and then counts where each acknowledged event is.

Clients, servers, workers and Redis are killed with SIGKILL in a random order and started again. Clients send what was
not acknowledged again, as they should. With ``appendfsync everysec`` Redis itself may answer up to two seconds before
it writes to its append-only file, when the disk is slow; what it loses so is counted apart, and must be lost whole.
"""

import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.harness.dangol_process import ServerProcess
from benchmarks.harness.redis_process import RedisProcess
from benchmarks.harness.worker_process import WorkerProcess
from dangol.client import Client, ClientError
from dangol.v1.event_pb2 import Event
from service.store import keys, profile_codec
from service.store.archive import Archive
from service.store.candidate_codec import digest_of
from service.store.connection import RedisSettings, SyncConnection, connect_blocking
from service.store.log_group import LogGroup

TENANT = "local"
_BATCH = 5
_CUSTOMER_EVENTS = 200
"""Events of one customer: as many as their profile keeps, so that each of them can be counted there."""
_RECOVERY = 0.3  # seconds until what was killed is started again
_PATIENCE = 120.0
_UNWRITTEN = 2.5  # seconds before its end that Redis may have kept to itself, and some for the way of the answer
_SERVER = {"read_timeout": 0.3, "log_level": "warning", "drain_delay": 0}
_WORKER = {"archive_interval": 0.5, "worker_patience": 1.0, "log_level": "warning"}


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts each event, by event id, in the archive and in the profiles, and how often what was killed.

    Times are on the monotonic clock: when an event was acknowledged, and when Redis was killed.
    """

    acknowledged: Mapping[str, float]
    archived: Counter[str]
    applied: Counter[str]
    kills: Counter[str]
    redis_kills: Sequence[float]
    left_in_log: int

    @property
    def lost_with_redis(self) -> set[str]:
        """Give the acknowledged events that are nowhere, because Redis was killed before it wrote them down."""
        return {
            event_id
            for event_id, time_ in self.acknowledged.items()
            if self.archived[event_id] == self.applied[event_id] == 0
            and any(0 < kill - time_ < _UNWRITTEN for kill in self.redis_kills)
        }

    @property
    def problems(self) -> list[str]:
        """Say which acknowledged events are not exactly once where they belong, and which are anywhere twice.

        What was lost with Redis is no problem of ours.
        """
        found = []
        lost = self.lost_with_redis
        for name, counts in (("the archive", self.archived), ("the profiles", self.applied)):
            missing = [event_id for event_id in self.acknowledged if counts[event_id] == 0 and event_id not in lost]
            doubled = [event_id for event_id, count in counts.items() if count > 1]
            found += [f"{event_id} is not in {name}" for event_id in missing]
            found += [f"{event_id} is in {name} more than once" for event_id in doubled]
        return found


def keep_ledger(
    directory: Path, seconds: float, seed: int, pause: float, fsync: str = "everysec", durability: str = "write"
) -> Ledger:
    """Let events flow for some seconds, killing something after every ``pause`` or so, and count.

    ``fsync`` is Redis' ``appendfsync``, ``durability`` the setting of servers and workers.
    """
    server, worker = _SERVER | {"durability": durability}, _WORKER | {"durability": durability}
    home = directory / "home"
    home.mkdir(parents=True)
    with RedisProcess(directory / "redis", fsync) as redis, ExitStack() as stack:
        servers = [
            stack.enter_context(ServerProcess(home, f"server-{number}", redis.url, server)) for number in range(2)
        ]
        workers = [
            stack.enter_context(WorkerProcess(home, f"worker-{number}", redis.url, worker)) for number in range(2)
        ]
        target = "ipv4:" + ",".join(server.address for server in servers)
        with _clients(directory, target, 2) as clients:
            kills, redis_kills = _kill_around(redis, servers, workers, clients, seconds, random.Random(seed), pause)
        with connect_blocking(RedisSettings(redis.url), timeout=10) as connection:
            left = _wait_until_settled(connection)
            notes = [file.read_text().split() for file in directory.glob("acknowledged-*")]
            acknowledged = {
                event_id: float(time_)
                for words in notes
                for event_id, time_ in zip(words[::2], words[1::2], strict=True)
            }
            archived = Counter(
                entry.event.event_id for page in Archive(str(home / "archive")).events() for entry in page
            )
            applied = _applied(connection, acknowledged)
            return Ledger(acknowledged, archived, applied, kills, redis_kills, left)


def _kill_around(
    redis: RedisProcess,
    servers: Sequence[ServerProcess],
    workers: Sequence[WorkerProcess],
    clients: "_Clients",
    seconds: float,
    randomness: random.Random,
    pause: float,
) -> tuple[Counter[str], list[float]]:
    victims: list[tuple[str, Callable[[], None], Callable[[], None]]] = [("redis", redis.kill, redis.start)]
    victims += [("server", server.kill, server.start) for server in servers]
    victims += [("worker", worker.kill, worker.start) for worker in workers]
    victims.append(("client", clients.kill, clients.start))
    kills: Counter[str] = Counter()
    redis_kills: list[float] = []
    end = time.monotonic() + seconds
    # In turns, so that a short run kills one of each kind too.
    turns = randomness.sample(victims, len(victims))
    while time.monotonic() < end:
        name, kill, start = turns.pop() if turns else randomness.choice(victims)
        time.sleep(randomness.uniform(0, 2 * pause))
        kill()
        kills[name] += 1
        if name == "redis":
            redis_kills.append(time.monotonic())
        time.sleep(randomness.uniform(0, _RECOVERY))
        start()
    return kills, redis_kills


class _Clients:
    """Is some processes that record events as fast as these are acknowledged."""

    def __init__(self, directory: Path, target: str, count: int) -> None:
        self._directory = directory
        self._target = target
        self._started = 0
        self._processes: list[BaseProcess] = []
        for _ in range(count):
            self.start()

    def start(self) -> None:
        """Start one, whose events are new ones."""
        self._started += 1
        name = f"client-{self._started}"
        file = self._directory / f"acknowledged-{name}"
        # Spawned: a process that has used gRPC must not fork.
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_record_for_ever, args=(self._target, name, str(file)), daemon=True)
        process.start()
        self._processes.append(process)

    def kill(self) -> None:
        """Kill the oldest one."""
        process = self._processes.pop(0)
        process.kill()
        process.join()


@contextmanager
def _clients(directory: Path, target: str, count: int) -> Iterator[_Clients]:
    clients = _Clients(directory, target, count)
    try:
        yield clients
    finally:
        for _ in range(count):
            clients.kill()


def _record_for_ever(target: str, name: str, file: str) -> None:
    """Record batch after batch, each until it is acknowledged, and note down what was."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = 0
    with Client(target, write_timeout=2.0) as client:
        while True:
            events = [_event(name, number + place) for place in range(_BATCH)]
            while True:
                try:
                    client.record_events(events)
                    break
                except ClientError:
                    time.sleep(0.05)
            # One write: whoever is killed here has noted the whole batch or nothing of it.
            now = time.monotonic()
            os.write(descriptor, "".join(f"{event.event_id} {now}\n" for event in events).encode())
            number += _BATCH


def _event(name: str, number: int) -> Event:
    customer = f"{name}.{number // _CUSTOMER_EVENTS}"
    event = Event(
        event_id=f"{customer}.{number}", customer_id=customer, event_type="purchase", item_id=f"item-{number}"
    )
    event.event_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    return event


def _wait_until_settled(connection: SyncConnection) -> int:
    """Wait until everything is applied, archived and gone from the log; give what is left there after a while."""
    group = LogGroup(connection, TENANT, "")
    deadline = time.monotonic() + _PATIENCE
    while (left := sum(lag.length for lag in group.lags())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _applied(connection: SyncConnection, acknowledged: Iterable[str]) -> Counter[str]:
    """Count events in the profiles of all customers of whom something was acknowledged."""
    counts: Counter[str] = Counter()
    for customer_id in {event_id.rpartition(".")[0] for event_id in acknowledged}:
        value = connection.client.execute_command("GET", keys.profile_key(TENANT, customer_id)) or b""
        for event in profile_codec.decode(value, digest_of(customer_id)).events:
            counts[f"{customer_id}.{event.item_id.removeprefix('item-')}"] += 1
    return counts
