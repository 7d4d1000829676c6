"""What may happen to Redis while clients call."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.harness.bed import TENANT, Bed
from benchmarks.harness.clients import EVENTS, Call, Outcome, RunningClients
from benchmarks.harness.dangol_process import run_dangol
from service.store.connection import RedisSettings, connect_blocking
from service.store.event_log import read_log


@dataclass(frozen=True, slots=True)
class Outage:
    """Tells when Redis could not be used, and when an answer was whole again: seconds on the monotonic clock."""

    begin: float
    end: float
    recovered: float

    def calls(self, outcome: Outcome) -> list[Call]:
        """Give the reads that lie within the outage."""
        return [call for call in outcome.reads if call.is_within(self.begin, self.end)]

    def unflagged(self, outcome: Outcome) -> list[Call]:
        """Give the answers within the outage that claim to be whole."""
        return [call for call in self.calls(outcome) if not call.error and not call.degraded]

    def acknowledged_meanwhile(self, outcome: Outcome) -> list[Call]:
        """Give the batches of events within the outage that were acknowledged."""
        return [
            call
            for call in outcome.calls
            if call.kind == EVENTS and not call.error and call.is_within(self.begin, self.end)
        ]


def stopped(bed: Bed, clients: RunningClients, seconds: float) -> Outage:
    """Kill Redis with SIGKILL, and start it again."""
    return _outage(clients, seconds, bed.redis.kill, bed.redis.start)


def frozen(bed: Bed, clients: RunningClients, seconds: float) -> Outage:
    """Halt Redis with SIGSTOP, and let it go on."""
    return _outage(clients, seconds, bed.redis.freeze, bed.redis.thaw)


def black_hole(bed: Bed, clients: RunningClients, seconds: float) -> Outage:
    """Let everything that servers send to Redis vanish, and let it through again."""
    return _outage(clients, seconds, bed.proxy.swallow, bed.proxy.forward)


def emptied(bed: Bed, clients: RunningClients, seconds: float) -> Outage:
    """Empty Redis, and fill it again from files with ``dangol rebuild``."""

    def rebuild() -> None:
        run_dangol(bed.home, "rebuild", "--redis-url", bed.redis.url)

    run_dangol(bed.home, "events", "export", "--redis-url", bed.redis.url)
    return _outage(clients, seconds, bed.redis.empty, rebuild)


OUTAGES: dict[str, Callable[[Bed, RunningClients, float], Outage]] = {
    "stopped": stopped,
    "frozen": frozen,
    "black-hole": black_hole,
    "emptied": emptied,
}


def lost_events(outcome: Outcome, logged: Counter[str], since: float = 0.0) -> list[str]:
    """Give the events that were acknowledged, by calls begun since a moment, and are not in the log."""
    return [id_ for id_, begun in outcome.acknowledged.items() if begun >= since and not logged[id_]]


def repeated_events(logged: Counter[str]) -> list[str]:
    """Give the events that stand in the log more than once."""
    return [id_ for id_, count in logged.items() if count > 1]


def logged_events(bed: Bed) -> Counter[str]:
    """Count how often each event id stands in the log."""
    with connect_blocking(RedisSettings(bed.redis.url)) as connection:
        return Counter(event.event_id for event in read_log(connection, TENANT))


def _outage(clients: RunningClients, seconds: float, fail: Callable[[], None], mend: Callable[[], None]) -> Outage:
    clients.wait_until_whole()
    fail()
    begin = time.monotonic()
    time.sleep(seconds)
    clients.wait_until(lambda call: not call.error and call.degraded)
    end = time.monotonic()
    mend()
    recovered = clients.wait_until_whole().ended
    return Outage(begin, end, recovered)
