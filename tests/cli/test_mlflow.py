"""A training run in MLflow, in its store of files."""

import json
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def store_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow wants to be told that a folder is enough."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def test_a_run_holds_settings_measures_the_manifest_and_the_report(
    dangol: Command, capsys: pytest.CaptureFixture[str], purchases: Path, tmp_path: Path
) -> None:
    uri = (tmp_path / "runs").as_uri()
    assert dangol("train", purchases, "--mlflow", uri, "--experiment", "teas", "--seed", 7, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    client = MlflowClient(tracking_uri=uri)
    run = client.get_run(told["mlflow_run"])
    assert client.get_experiment(run.info.experiment_id).name == "teas"
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "7"
    assert run.data.params["events.view.half_life_days"] == "20.0"
    assert run.data.tags["promoted"] == "True"
    [ours] = [row for row in told["metrics"]["evaluation"]["rows"] if (row["lists"], row["scope"]) == ("dangol", "all")]
    assert run.data.metrics["all/ndcg_at_20"] == ours["values"]["ndcg@20"]
    assert run.data.metrics["all/ndcg_at_20.low"] == ours["intervals"]["ndcg@20"][0]
    assert run.data.metrics["popular-now/all/recall_at_20"] > 0
    assert sorted(file.path for file in client.list_artifacts(run.info.run_id)) == ["manifest.json", "report.html"]


def test_a_server_that_is_not_there_is_named(
    dangol: Command, capsys: pytest.CaptureFixture[str], purchases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert dangol("train", purchases, "--mlflow", "http://127.0.0.1:9", "--json") == 5
    assert "MLflow at http://127.0.0.1:9 did not take the run" in capsys.readouterr().err
