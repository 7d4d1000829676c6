"""Sets of placements over the wire: previewed, applied in one step, listed by version, gone back to."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from dangol.client import Client, InvalidRequestError, RefusedError
from dangol.v1.catalog_pb2 import Offer, Placement, Policy, ScoreMode
from tests.server_fixtures import RunningServer

BY_PRIORITY = Policy(score_mode=ScoreMode.SCORE_MODE_PRIORITY)


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    """Connect to a server whose catalogue has one offer of priority, and empty it afterwards."""
    with Client(server.address, timeout=10.0) as client:
        client.upsert_offers([Offer(offer_id="first", item_ids=["item-005"], priority=9)])
        yield client
        client.delete_offers(["first"])
        names = [one.placement for one in client.list_placements() if one.etag]
        if names:
            client.delete_placements(names)


def dangol(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run([*map(str, arguments), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def write(path: Path, *placements: dict[str, object]) -> Path:
    path.write_text(json.dumps(placements))
    return path


def test_a_preview_shows_what_customers_would_see_and_changes_nothing(client: Client) -> None:
    client.upsert_placements([Placement(placement="tried", size=2)])
    proposed = [Placement(placement="tried", policy=BY_PRIORITY), Placement(placement="fresh", size=1)]
    response = client.preview_placements(proposed)
    assert {preview.customer_id for preview in response.previews} == {"ada"}
    changed, fresh = response.previews
    assert [offer.item_id for offer in changed.current.offers] == ["item-007", "item-003"]
    assert changed.proposed.offers[0].offer_id == "first"
    assert (fresh.HasField("current"), len(fresh.proposed.offers)) == (False, 1)
    assert response.placements[0].size == 10
    assert client.preview_placements(proposed, customer_ids=["eve"]).previews[0].customer_id == "eve"
    assert [one.size for one in client.list_placements() if one.placement == "tried"] == [2]


def test_a_bad_preview_is_refused_and_its_field_named(client: Client) -> None:
    with pytest.raises(InvalidRequestError, match=r"placements\[0\].size"):
        client.preview_placements([Placement(placement="tried", size=101)])
    with pytest.raises(InvalidRequestError, match="sample_size"):
        client.preview_placements([Placement(placement="tried")], customer_ids=["ada"], sample_size=1)
    with pytest.raises(InvalidRequestError, match="placements: holds 0"):
        client.preview_placements([])


def test_a_set_is_stored_and_what_it_lacks_deleted_in_one_step_or_not_at_all(client: Client) -> None:
    client.upsert_placements([Placement(placement="old"), Placement(placement="tried", size=2)])
    (stored,) = [one for one in client.list_placements() if one.placement == "tried"]
    client.upsert_placements([Placement(placement="tried", size=3)])
    with pytest.raises(RefusedError):
        client.upsert_placements([stored], deleted_placements=["old"])
    client.upsert_placements([Placement(placement="tried", size=4)], deleted_placements=["old"])
    assert {one.placement: one.size for one in client.list_placements()} == {"default": 10, "tried": 4}
    client.upsert_placements([], deleted_placements=["tried"])
    with pytest.raises(InvalidRequestError, match="placements: holds 0"):
        client.upsert_placements([])


def test_a_file_is_tried_applied_and_gone_back_from(
    server: RunningServer, client: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    where = ("--address", server.address)
    first = write(tmp_path / "1.json", {"placement": "tried", "size": 2}, {"placement": "old", "size": 1})
    (told,) = dangol(capsys, "placements", "apply", first, *where)
    assert told["applied"] is True
    second = write(tmp_path / "2.json", {"placement": "tried", "policy": {"score_mode": "SCORE_MODE_PRIORITY"}})
    (tried,) = dangol(capsys, "placements", "apply", second, "--dry-run", *where)
    changes = {change["placement"]: change for change in tried["changes"]}
    assert changes["tried"]["fields"]["size"] == [2, 10]
    assert changes["old"]["change"] == "removed"
    assert tried["slates"][0]["proposed"][0] == "first"
    assert {one.placement for one in client.list_placements()} == {"default", "old", "tried"}
    (applied,) = dangol(capsys, "placements", "apply", second, *where)
    assert applied["changes"] == tried["changes"]
    assert dangol(capsys, "placements", "apply", second, *where)[0]["changes"] == []
    newest, oldest = dangol(capsys, "placements", "history", "tried", *where)[:2]
    assert newest["fields"]["size"] == [2, 10]
    dangol(capsys, "placements", "restore", "tried", oldest["version"], *where)
    assert [one.size for one in client.list_placements() if one.placement == "tried"] == [2]
    assert run(["placements", "restore", "tried", "999", *where]) == 4


def test_people_see_whose_slates_would_change(
    server: RunningServer, client: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    client.upsert_placements([Placement(placement="tried", size=2)])
    file = write(tmp_path / "p.json", {"placement": "tried", "size": 1})
    assert run(["placements", "apply", str(file), "--dry-run", "--address", server.address]) == 0
    shown = capsys.readouterr().out
    assert "1 of 1 slates of real customers would be others" in shown
    assert "Nothing was changed" in shown
    assert run(["placements", "history", "tried", "--address", server.address]) == 0
    assert "since (UTC)" in capsys.readouterr().out


def test_a_placement_without_a_past_has_no_versions(client: Client) -> None:
    assert client.list_placement_versions("never-was") == []
