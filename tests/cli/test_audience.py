import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.embedded import EmbeddedRedis
from tests.cli.conftest import Command
from tests.models_fixtures import candidate, candidate_list, item_id, item_model
from tests.server_fixtures import publish_model, running_server

pytestmark = pytest.mark.xdist_group("audience")  # what they share is dear

LISTS = {
    "ada": candidate_list([candidate(3, 0.9, evidence=0)], evidence_rows=[5]),
    "bob": candidate_list([candidate(3, 0.5)]),
    "eve": candidate_list([candidate(4, 0.7)]),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("audience")
    with EmbeddedRedis(directory / "redis") as redis:
        publish_model(redis.url, directory, item_model(), LISTS)
        with running_server(directory / "server", redis.url, read_timeout=1.0) as server:
            yield server.address


def test_an_audience_is_a_table_with_its_reasons_and_counts(
    dangol: Command, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dangol("audience", "--item", item_id(3), "--address", address) == 0
    out = capsys.readouterr().out
    assert "ada" in out
    assert "bought item-005" in out
    assert "2 customers found, of 2 who have it in their list" in out


def test_an_audience_goes_into_a_file_whole(dangol: Command, address: str, tmp_path: Path) -> None:
    path = tmp_path / "audience.csv"
    assert dangol("audience", "--item", item_id(3), "--address", address, "--csv", path) == 0
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["rank"], row["customer_id"], row["item_id"]) for row in rows] == [
        ("1", "ada", "item-003"),
        ("2", "bob", "item-003"),
    ]
    assert list(tmp_path.glob(".*.writing")) == []


def test_for_machines_each_customer_is_a_line_and_the_summary_the_last(
    dangol: Command, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dangol("audience", "--item", item_id(3), "--limit", "1", "--address", address, "--json") == 0
    first, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["customer_id"], first["rank"]) == ("ada", 1)
    assert summary["found_count"] == "1"
    arguments = ("audience", "--item", item_id(3), "--address", address, "--json", "--resume", summary["resume_token"])
    assert dangol(*arguments) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["customer_id"] == "bob"


def test_a_rule_on_rebuys_that_there_is_not_is_refused(
    dangol: Command, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dangol("audience", "--item", item_id(3), "--rebuys", "never", "--address", address) == 3
    assert "--rebuys: is none of" in capsys.readouterr().err
