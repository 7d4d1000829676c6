from concurrent.futures import ThreadPoolExecutor

from benchmarks.harness.bed import Bed
from benchmarks.harness.clients import Load, running_clients
from dangol.client import Client
from dangol.v1.event_pb2 import Event

DEADLINE = 10.0


def test_no_call_fails_while_one_of_two_servers_is_drained_and_started_again(bed_of_two: Bed) -> None:
    bed = bed_of_two
    load = Load(bed.target, bed.shop, DEADLINE, rate=60, batch_rate=10, batch_size=200)
    with running_clients(load) as clients:
        for server in bed.servers:
            server.terminate()
            assert server.wait() == 0
            server.start()
            clients.wait_until_whole()
        outcome = clients.stop()
    assert outcome.failed_reads == []
    assert outcome.wrong == []


def test_a_call_in_flight_is_finished_before_the_server_ends(bed: Bed) -> None:
    server = bed.servers[0]
    event = Event(event_id="last", customer_id="ada", event_type="view", item_id="a-000")
    event.event_time.GetCurrentTime()
    with Client(server.address, write_timeout=DEADLINE) as client, ThreadPoolExecutor(1) as executor:
        assert client.serving()
        bed.redis.freeze()
        call = executor.submit(client.record_events, [event])
        while "draining" not in server.log.read_text():
            if b"in flight" in bed.home.name.encode():
                break
            server.terminate()
        bed.redis.thaw()
        assert call.result().recorded_count == 1
    assert server.wait() == 0
