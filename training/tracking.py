"""The only place that knows MLflow: a trained model as a run of an experiment."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from models.artifact import Artifact
from models.errors import UnavailableError
from models.manifest import MANIFEST_FILE
from training.evaluation import OURS, rows_of
from training.parameters import flattened

_METRICS_PER_BATCH, _PARAMS_PER_BATCH = 1000, 100
"""What one call of MLflow takes."""


def log_run(artifact: Artifact, verdict: Mapping[str, Any] | None, page: str, uri: str, experiment: str) -> str:
    """Log a model: settings, counts, measures with their intervals, the manifest and its report; give the run's id.

    ``uri`` is whatever MLflow tracks to: a server's address, ``sqlite:///…``, a folder. ``verdict`` is what the gate
    said. No file that names customers is logged but the report ``page``. UnavailableError when it cannot be logged.
    """
    try:
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        experiment_id = found.experiment_id if found else client.create_experiment(experiment)
        run_id = str(client.create_run(experiment_id, run_name=artifact.manifest.model_version).info.run_id)
        _log(client, run_id, artifact, verdict or {})
        client.log_text(run_id, page, "report.html")
        client.log_artifact(run_id, str(artifact.directory / MANIFEST_FILE))
        client.set_terminated(run_id)
    except (MlflowException, OSError) as error:
        raise UnavailableError(f"MLflow at {uri} did not take the run ({str(error).splitlines()[0]})") from error
    return run_id


def _log(client: MlflowClient, run_id: str, artifact: Artifact, verdict: Mapping[str, Any]) -> None:
    manifest = artifact.manifest
    params = [Param(name, str(value)) for name, value in flattened(manifest.configuration, ".").items()]
    tags = {
        "model_version": manifest.model_version,
        "first_event_time": manifest.first_event_time.isoformat(),
        "last_event_time": manifest.last_event_time.isoformat(),
        "ranker": manifest.metrics.get("ranker", {}).get("kind", ""),
        **({"promoted": str(verdict["promoted"]), "against": str(verdict["against"])} if verdict else {}),
    }
    now = int(time.time() * 1000)
    metrics = [Metric(name.replace("@", "_at_"), value, now, 0) for name, value in _measures(artifact)]
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    for start in range(0, len(params), _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=params[start : start + _PARAMS_PER_BATCH])
    for start in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])


def _measures(artifact: Artifact) -> Iterator[tuple[str, float]]:
    """Give measures by name: ours as ``all/ndcg@20``, the bounds beside, those of other lists below their name."""
    for name, count in artifact.manifest.counts.items():
        yield f"counts/{name}", float(count)
    for row in rows_of(artifact.manifest.metrics.get("evaluation") or {}):
        place = row.scope if row.lists == OURS else f"{row.lists}/{row.scope}"
        for metric, value in row.values.items():
            yield f"{place}/{metric}", value
            if row.lists == OURS and metric in row.intervals:
                low, high = row.intervals[metric]
                yield f"{place}/{metric}.low", low
                yield f"{place}/{metric}.high", high
