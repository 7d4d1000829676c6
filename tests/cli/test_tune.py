"""Tuning end to end, in real processes, on a small shop: judged before the last window, resumed, and usable."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import create_trial

from models.errors import InvalidInputError
from models.progress import SilentProgress
from tests.cli.conftest import Command
from tests.shop import DAYS, FIRST_DAY, events, write_events, write_rows
from training.config import ColumnMapping, EventWeight, FactorSettings, TrainingConfiguration, load_configuration
from training.people import NOBODY
from training.tuning.found import found_in
from training.tuning.space import Range, configured, search_space, settings_at
from training.tuning.studies import open_study
from training.tuning.task import Inputs, Task, task_of
from training.tuning.tune import tune

SMALL = TrainingConfiguration(factors=FactorSettings(factors=8, first_sweeps=1, later_sweeps=1))


def task_on(path: Path, configuration: TrainingConfiguration = SMALL) -> Task:
    return task_of(Inputs([str(path)], ColumnMapping(), configuration, NOBODY, "ndcg@20", 2), SilentProgress())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_events(tmp_path_factory.mktemp("shop") / "events.parquet", customers=30, items=20)


def test_the_window_that_training_judges_by_is_not_looked_at(shop: Path, tmp_path: Path) -> None:
    task = task_on(shop)
    last_days = (FIRST_DAY.timestamp() + DAYS * 86_400 - task.until) / 86_400
    assert last_days == pytest.approx(30, abs=2)
    early = [row for row in events(30, 20) if row["event_time"] < f"{task.document()['until']}"]
    spoiled = [row | {"item_id": "item-0000"} for row in events(30, 20) if row not in early]
    other = task_on(write_rows(tmp_path / "spoiled.parquet", early + spoiled))
    found = [
        tune(one, tmp_path / name, minutes=5, trials=1, jobs=1, watch=lambda standing: None)
        for one, name in ((task, "task"), (other, "other"))
    ]
    assert found[0].first == found[1].first


def test_the_space_holds_the_behaviours_that_there_are_and_what_there_was_before() -> None:
    weights = {"view": EventWeight(weight=0.2, half_life_days=1), "return": EventWeight(weight=-1)}
    configuration = TrainingConfiguration(events=weights)
    space = {one.name: one for one in search_space(configuration, ["purchase", "return", "view"], learned=False)}
    assert space["events__view__half_life_days"] == Range("events__view__half_life_days", 1, 730, 1)
    assert "events__purchase__weight" not in space
    assert "events__cart__weight" not in space
    assert all(one.low <= one.start <= one.high for one in space.values())
    point = settings_at(list(space.values()), {name: one.start for name, one in space.items()})
    assert point["events__return__weight"] == -1
    assert configured(configuration, point).event_weights() == configuration.event_weights()


def test_trees_are_tuned_by_what_they_heed() -> None:
    names = {one.name for one in search_space(SMALL, ["purchase", "view"], learned=True)}
    assert {"learned__binary_rounds", "learned__own", "events__purchase__half_life_days"} <= names
    assert {"events__view__weight", "events__view__half_life_days"} <= names
    assert not any(name.startswith(("factors", "sources")) for name in names)


def test_the_same_command_goes_on_and_what_it_writes_trains(
    dangol: Command, capsys: pytest.CaptureFixture[str], shop: Path, tmp_path: Path
) -> None:
    told = []
    for trials in (1, 4):
        arguments = ("--minutes", 5, "--trials", trials, "--jobs", 2, "--windows", 1, "--output", tmp_path / "t.toml")
        assert dangol("tune", shop, *arguments, "--json") == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0]["study"] == told[1]["study"]
    assert sum(told[1]["trials"].values()) >= 4 > sum(told[0]["trials"].values()) >= 1
    assert told[1]["best"] >= told[1]["first"] == told[0]["first"] > 0
    assert set(told[1]["importances"]) <= set(told[1]["settings"])
    content = tomllib.loads((tmp_path / "t.toml").read_text())
    assert content["factors"]["factors"] == told[1]["settings"]["factors__factors"]
    assert dangol("train", shop, "--config", tmp_path / "t.toml", "--json") == 0
    learned = json.loads(capsys.readouterr().out)
    assert learned["model_version"]


def test_what_matters_is_told_after_enough_trials(shop: Path, tmp_path: Path) -> None:
    space = [Range("factors__factors", 1, 100, 8, whole=True), Range("popularity_days", 1, 100, 20)]
    task = replace(task_on(shop), space=space)
    study = open_study(tmp_path / "journal", task, 0)
    bounds = {
        "factors__factors": IntDistribution(1, 100, log=True),
        "popularity_days": FloatDistribution(1, 100, log=True),
    }
    for number in range(1, 31):
        params = {"factors__factors": number, "popularity_days": float(1 + number * 7 % 30)}
        marks = {"first": number == 8}
        study.add_trial(create_trial(params=params, distributions=bounds, value=number / 100, user_attrs=marks))
    found = found_in(task, study, interrupted=False)
    assert (found.first, found.best, found.settings["factors__factors"]) == (0.08, 0.3, 30)
    assert found.importances["factors__factors"] > found.importances["popularity_days"]
    found.write(tmp_path / "best.toml")
    written = load_configuration(tmp_path / "best.toml")
    assert (written.factors.factors, written.factors.first_sweeps) == (30, 1)


def test_a_journal_of_other_settings_is_refused(shop: Path, tmp_path: Path) -> None:
    open_study(tmp_path / "journal", task_on(shop), 0)
    other = task_on(shop, SMALL.model_copy(update={"seed": 2}))
    with pytest.raises(InvalidInputError, match="belongs to other events or settings"):
        tune(other, tmp_path / "journal", minutes=1, trials=1, jobs=1, watch=lambda standing: None)


def test_a_file_that_is_no_journal_is_refused(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("bread\n")
    with pytest.raises(InvalidInputError, match="is not a journal"):
        open_study(tmp_path / "journal", task_on(shop), 0)


def test_what_cannot_be_tuned_is_said_by_the_process_that_noticed(shop: Path, tmp_path: Path) -> None:
    few = write_rows(tmp_path / "few.csv", events(1, 20, visits=2))
    with pytest.raises(InvalidInputError, match="nobody bought"):
        tune(task_on(few), tmp_path / "journal", minutes=1, trials=1, jobs=1, watch=lambda standing: None)


def test_an_unknown_measure_is_named(dangol: Command, capsys: pytest.CaptureFixture[str], shop: Path) -> None:
    assert dangol("tune", shop, "--metric", "accuracy") == 3
    assert "metric: 'accuracy'" in capsys.readouterr().err


def test_an_interrupted_tuning_tells_the_best_so_far_and_leaves_no_process(shop: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "--home", str(tmp_path), "tune", str(shop), "--minutes", "5", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not _finished(tmp_path):
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    told = json.loads(out)
    assert process.returncode == 130
    assert told["interrupted"]
    assert told["best"] >= told["first"] > 0
    assert Path(told["file"]).is_file()
    while _is_there(process.pid):
        time.sleep(0.05)


def _finished(home: Path) -> bool:
    """Tell whether the journal holds the value of a trial."""
    return any('"values":[' in path.read_text() for path in (home / "tuning").glob("*.journal"))


def _is_there(group: int) -> bool:
    """Tell whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
