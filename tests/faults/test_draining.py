import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.harness.bed import Bed, running_bed
from benchmarks.harness.clients import Load, RunningClients, running_clients
from dangol.client import Client
from dangol.v1.event_pb2 import Event
from tests.server_fixtures import ENGINES

DEADLINE = 30.0
PATIENT = {"read_timeout": 0.3, "write_timeout": 25, "redis_command_timeout": 25, "drain_delay": 0}
PADDING = "x" * 512


def test_no_call_fails_while_one_of_two_servers_is_drained_and_started_again(bed_of_two: Bed) -> None:
    bed = bed_of_two
    load = Load(bed.target, bed.shop, DEADLINE, rate=60, batch_rate=10, batch_size=200)

    with running_clients(load) as clients:
        known = {clients.wait_until_whole().server}
        known |= {next_server(clients, known)}
        for server in bed.servers:
            server.terminate()
            assert server.wait() == 0
            server.start()
            known |= {next_server(clients, known)}
        outcome = clients.stop()
    assert outcome.failed_reads == []
    assert outcome.wrong == []


@pytest.mark.parametrize("engine", ENGINES)
def test_no_call_fails_while_a_fleet_is_renewed(tmp_path: Path, engine: str) -> None:
    settings = {"read_timeout": 0.3, "log_level": "warning", "processes": 2, "engine": engine}
    with (
        running_bed(tmp_path, settings=settings) as bed,
        running_clients(Load(bed.target, bed.shop, DEADLINE, rate=60, batch_rate=5)) as clients,
    ):
        bed.servers[0].renew()
        outcome = clients.stop()
    assert outcome.failed_reads == []
    assert outcome.wrong == []
    assert len({call.server for call in outcome.reads}) >= 3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_call_in_flight_is_finished_before_the_server_ends(tmp_path: Path, engine: str) -> None:
    event = Event(event_id="last", customer_id="ada", event_type="search", query=PADDING)
    event.event_time.GetCurrentTime()
    with running_bed(tmp_path, settings={**PATIENT, "engine": engine}) as bed, ThreadPoolExecutor(1) as executor:
        server = bed.servers[0]
        with Client(server.address, write_timeout=DEADLINE) as client:
            bed.redis.freeze()
            sent = bed.proxy.bytes_sent
            call = executor.submit(client.record_events, [event])
            wait_until(lambda: bed.proxy.bytes_sent > sent + len(PADDING))
            server.terminate()
            wait_until(lambda: not listens(server.address))
            assert not call.done()
            bed.redis.thaw()
            assert call.result().recorded_count == 1
        assert server.wait() == 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) == 0


def next_server(clients: RunningClients, known: set[str]) -> str:
    """Wait until a server process answers that did not before, and give its name."""
    return clients.wait_until(lambda call: bool(call.server) and call.server not in known).server
