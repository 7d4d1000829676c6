"""Experiments as JSON objects. docs/redis-layout.md describes them."""

from datetime import datetime
from typing import Any

from models.experiments import Arm, Experiment, ExperimentMode, ExperimentStatus
from service.store.offer_codec import decode_policy, sparse


def encode_experiment(experiment: Experiment) -> dict[str, Any]:
    """Write an experiment; what is empty is None, an empty text or an empty list."""
    start, end = experiment.start_time, experiment.end_time
    return {
        "placements": list(experiment.placements),
        "arms": [sparse(arm) for arm in experiment.arms],
        "salt": experiment.salt,
        "mode": experiment.mode.value,
        "status": experiment.status.value,
        "start_time": None if start is None else start.isoformat(),
        "end_time": None if end is None else end.isoformat(),
    }


def decode_experiment(id_: str, record: dict[str, Any], etag: str) -> Experiment:
    """Read an experiment. ValueError, KeyError, TypeError or AttributeError when it is none."""
    start, end = record.get("start_time"), record.get("end_time")
    return Experiment(
        experiment_id=id_,
        placements=tuple(record.get("placements", ())),
        arms=tuple(_decode_arm(arm) for arm in record.get("arms", ())),
        salt=record.get("salt", ""),
        mode=ExperimentMode(record["mode"]),
        status=ExperimentStatus(record["status"]),
        start_time=None if start is None else datetime.fromisoformat(start),
        end_time=None if end is None else datetime.fromisoformat(end),
        etag=etag,
    )


def _decode_arm(record: dict[str, Any]) -> Arm:
    policy = record.get("policy")
    return Arm(
        record["arm"],
        record.get("weight", 1),
        None if policy is None else decode_policy(policy),
        bool(record.get("holdout", False)),
        record.get("model_version", ""),
    )
