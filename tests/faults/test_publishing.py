from datetime import timedelta

from benchmarks.harness import publishing
from benchmarks.harness.bed import Bed
from benchmarks.harness.clients import Load, running_clients
from benchmarks.harness.dangol_process import run_dangol
from dangol.client import Client

DEADLINE = 10.0


def load_of(bed: Bed) -> Load:
    return Load(bed.target, bed.shop, DEADLINE, rate=40, batch_rate=5)


def test_a_killed_publisher_changes_nothing_that_is_served_and_the_next_one_clears_up(bed: Bed) -> None:
    with running_clients(load_of(bed)) as clients:
        size = publishing.publish_at_leisure(bed, "b")
        publishing.publish_at_leisure(bed, "a")
        kills = [publishing.kill_publisher(bed, "b", int(size * share)) for share in (0.01, 0.3, 0.75)]
        outcome = clients.stop()
    assert all(kill.killed for kill in kills)
    assert not any(kill.went_live for kill in kills)
    assert len(publishing.remains(bed)) == len(kills)
    published = publishing.publish_later(bed, "b", timedelta(minutes=2))
    assert publishing.live(bed).generation == published.generation
    assert publishing.remains(bed) == []
    assert outcome.failed_reads == []
    assert outcome.wrong == []
    assert outcome.torn_generations == {}


def test_no_answer_mixes_models_while_they_are_promoted_and_rolled_back(bed: Bed) -> None:
    a, b = (bed.shop.version(letter) for letter in "ab")
    publishing.publish_at_leisure(bed, "b")
    with running_clients(load_of(bed)) as clients, Client(bed.servers[0].address, write_timeout=DEADLINE) as client:
        for _ in range(3):
            assert client.promote_model(a, force=True).model_version == a
            clients.wait_until(lambda call: call.model_version == a)
            assert client.roll_back_model().model_version == b
            clients.wait_until(lambda call: call.model_version == b)
        run_dangol(bed.home, "rollback", "--redis-url", bed.redis.url)
        clients.wait_until(lambda call: call.model_version == a)
        outcome = clients.stop()
    assert outcome.failed_reads == []
    assert outcome.wrong == []
    assert outcome.torn_generations == {}
    assert publishing.remains(bed) == []


def test_of_two_publishers_at_once_one_wins_and_the_other_leaves_nothing(bed: Bed) -> None:
    before = publishing.live(bed)
    size = publishing.publish_at_leisure(bed, "a")
    endings = publishing.publish_both_at_once(bed, size // 2)
    winners = [letter for letter, code, _ in endings if code == 0]
    losers = [(code, complaint) for _, code, complaint in endings if code != 0]
    assert len(winners) == 1
    assert losers[0][0] == 1
    assert "another publisher or a roll back was faster" in losers[0][1]
    assert publishing.live(bed).model_version == bed.shop.version(winners[0])
    assert len(publishing.overview(bed).records) == 3
    assert before.generation in publishing.stored_keys(bed)
    assert publishing.remains(bed) == []
