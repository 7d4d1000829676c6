import json
import shutil
from pathlib import Path

import pytest

from cli.main import run
from tests.cli.conftest import Command
from tests.shop import events, item_name, write_events, write_rows

pytestmark = pytest.mark.xdist_group("models")  # what they share is dear


@pytest.fixture(scope="module")
def home_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train two models with two seeds; the second is current."""
    folder = tmp_path_factory.mktemp("two")
    purchases, home = write_events(folder / "events.parquet"), folder / "home"
    for seed in (1, 2):
        assert run(["--home", str(home), "train", str(purchases), "--seed", str(seed)]) == 0
    return home


@pytest.fixture
def two_models(dangol: Command, capsys: pytest.CaptureFixture[str], home_of_two: Path, tmp_path: Path) -> list[str]:
    """Give the two versions, in a home of the test's own."""
    shutil.copytree(home_of_two, tmp_path / ".dangol", symlinks=True)
    assert dangol("models", "list", "--json") == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [model["model_version"] for model in sorted(listed, key=lambda model: model["current"])]


def test_trained_models_are_listed_and_the_last_is_current(
    dangol: Command, capsys: pytest.CaptureFixture[str], two_models: list[str]
) -> None:
    assert dangol("models", "list", "--json") == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {model["model_version"]: model["current"] for model in listed} == dict(
        zip(two_models, (False, True), strict=True)
    )


def test_people_see_what_a_model_was_learned_from_and_how_well_it_does(
    dangol: Command, capsys: pytest.CaptureFixture[str], two_models: list[str]
) -> None:
    assert dangol("models", "show") == 0
    shown = capsys.readouterr().out
    assert two_models[1] in shown
    assert "counts.customers" in shown
    assert "what sells most now" in shown
    assert "gate: let through" in shown


def test_a_comparison_names_what_differs_and_nothing_else(
    dangol: Command, capsys: pytest.CaptureFixture[str], two_models: list[str]
) -> None:
    assert dangol("models", "diff", *two_models, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["versions"] == two_models
    assert found["configuration"] == {"seed": [1, 2]}
    assert found["data"] == {}
    assert found["items"] == {"new": {"count": 0, "first": []}, "lost": {"count": 0, "first": []}}
    assert dangol("models", "diff", two_models[0], two_models[0]) == 0
    assert "do not differ" in capsys.readouterr().out


def test_a_comparison_tells_paired_differences_sources_and_how_much_lists_moved(
    dangol: Command, capsys: pytest.CaptureFixture[str], two_models: list[str]
) -> None:
    assert dangol("models", "diff", *two_models, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    [entry] = [one for one in found["metrics"] if (one["scope"], one["metric"]) == ("all", "ndcg@20")]
    assert found["compared"] == "same-window"
    assert entry["difference"] == pytest.approx(entry["values"][1] - entry["values"][0], abs=1e-5)
    assert entry["interval"][0] <= entry["difference"] <= entry["interval"][1]
    assert 0.5 < found["lists"]["overlap"] <= 1
    assert found["lists"]["customers"] == 60
    assert found["sources"]["rebuy"]["listed"][0] > 0
    assert dangol("models", "diff", *two_models) == 0
    shown = capsys.readouterr().out
    for part in ("paired difference", "same-window", "rebuy", "60 customers of both"):
        assert part in shown


def test_new_and_lost_items_are_named(
    dangol: Command, capsys: pytest.CaptureFixture[str], purchases: Path, tmp_path: Path
) -> None:
    versions = []
    for missing in (3, 5):
        kept = [one for one in events() if one["item_id"] != item_name(missing)]
        path = write_rows(tmp_path / f"without-{missing}.csv", kept)
        assert dangol("train", path, "--no-promote", "--json") == 0
        versions.append(json.loads(capsys.readouterr().out)["model_version"])
    names = tmp_path / "names.csv"
    names.write_text(f"id,title\n{item_name(3)},Green tea\n")
    assert dangol("models", "diff", *versions, "--names", names) == 0
    shown = capsys.readouterr().out
    assert "1 new items: Green tea" in shown
    assert f"1 lost items: {item_name(5)}" in shown


def test_a_promoted_model_is_current(
    dangol: Command, capsys: pytest.CaptureFixture[str], two_models: list[str]
) -> None:
    assert dangol("models", "promote", two_models[0]) == 0
    assert dangol("models", "show", "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert json.loads(lines[-1])["model_version"] == two_models[0]


def test_the_report_of_a_model_is_one_page_that_calls_items_by_their_names(
    dangol: Command, capsys: pytest.CaptureFixture[str], two_models: list[str], tmp_path: Path
) -> None:
    names = tmp_path / "names.csv"
    names.write_text("id,title\n" + "".join(f"{item_name(number)},Tea & {number}\n" for number in range(60)))
    assert dangol("models", "report", "current", "--names", names, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model_version"] == two_models[1]
    page = Path(told["file"]).read_text()
    assert f"Model {two_models[1]}" in page
    assert "Tea &amp; " in page


def test_pruning_keeps_the_current_model_and_the_one_before(
    dangol: Command, capsys: pytest.CaptureFixture[str], two_models: list[str]
) -> None:
    assert dangol("models", "prune", "--keep", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": []}


def test_an_unknown_version_ends_with_4(dangol: Command, two_models: list[str]) -> None:
    assert dangol("models", "promote", "20200101-000000000000") == 4


def test_rows_that_cannot_be_used_are_counted_and_kept(
    dangol: Command, capsys: pytest.CaptureFixture[str], purchases: Path
) -> None:
    bad = purchases.with_name("bad.csv")
    bad.write_text("event_id,customer_id,item_id,event_type,event_time\nx,,bread,purchase,2025-03-01T00:00:00Z\n")
    assert dangol("train", purchases, bad) == 0
    shown = capsys.readouterr().out
    assert "1 rows refused" in shown
    [kept] = (Path(".dangol") / "refused").iterdir()
    assert "bread" in kept.read_text()


def test_a_configuration_that_cannot_be_used_is_named_with_its_field(
    dangol: Command, capsys: pytest.CaptureFixture[str], purchases: Path, tmp_path: Path
) -> None:
    configuration = tmp_path / "training.toml"
    configuration.write_text("[factors]\nfactors = -1\n")
    assert dangol("train", purchases, "--configuration", configuration) == 3
    assert f"{configuration}: factors.factors" in capsys.readouterr().err
