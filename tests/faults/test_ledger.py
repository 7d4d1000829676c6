"""Whatever is killed, every acknowledged event is applied exactly once and archived exactly once."""

from pathlib import Path

import pytest

from benchmarks.harness.ledger import Ledger, keep_ledger


def check(ledger: Ledger) -> None:
    assert ledger.problems == []
    assert ledger.left_in_log == 0
    assert len(ledger.acknowledged) > 100


@pytest.mark.xdist_group("ledger")
def test_no_event_is_lost_or_doubled_when_one_of_each_is_killed(tmp_path: Path) -> None:
    ledger = keep_ledger(tmp_path, seconds=3.0, seed=1, pause=0.3)
    check(ledger)
    assert {"redis", "server", "worker"} & set(ledger.kills)


@pytest.mark.long
@pytest.mark.parametrize(("fsync", "durability"), [("everysec", "write"), ("everysec", "fsync"), ("always", "write")])
def test_no_event_is_lost_or_doubled_in_minutes_of_kills(fsync: str, durability: str, tmp_path: Path) -> None:
    ledger = keep_ledger(tmp_path, seconds=120.0, seed=2, pause=0.7, fsync=fsync, durability=durability)
    check(ledger)
    assert set(ledger.kills) == {"redis", "server", "worker", "client"}
    if "always" in fsync or durability == "fsync":
        assert ledger.lost_with_redis == set()
