"""Experiment messages ↔ domain, each field checked on its way in."""

from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import combinations

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError, PreconditionError
from models.experiments import Arm, Experiment, ExperimentMode, ExperimentStatus
from service.handlers.catalog_messages import MAXIMAL_BATCH, time_from
from service.handlers.policy_messages import policy_from, policy_message
from service.handlers.validation import (
    check,
    check_distinct,
    check_kebabs,
    count_problem,
    kebab_problem,
    optional_id_problem,
    optional_kebab_problem,
    range_problem,
)

_MAXIMAL_PLACEMENTS = 32
_MAXIMAL_ARMS = 16
_MAXIMAL_WEIGHT = 1_000_000

_MODES = {
    catalog_pb2.EXPERIMENT_MODE_UNSPECIFIED: ExperimentMode.SPLIT,
    catalog_pb2.EXPERIMENT_MODE_SPLIT: ExperimentMode.SPLIT,
    catalog_pb2.EXPERIMENT_MODE_INTERLEAVED: ExperimentMode.INTERLEAVED,
}
_STATUSES = {
    catalog_pb2.EXPERIMENT_STATUS_UNSPECIFIED: ExperimentStatus.RUNNING,
    catalog_pb2.EXPERIMENT_STATUS_DRAFT: ExperimentStatus.DRAFT,
    catalog_pb2.EXPERIMENT_STATUS_RUNNING: ExperimentStatus.RUNNING,
    catalog_pb2.EXPERIMENT_STATUS_ENDED: ExperimentStatus.ENDED,
}
# Of two names for one thing the later wins, so that answers are specific.
_MODE_MESSAGES = {mode: number for number, mode in _MODES.items()}
_STATUS_MESSAGES = {status: number for number, status in _STATUSES.items()}


def experiments_from(messages: Sequence[catalog_pb2.Experiment]) -> list[Experiment]:
    """Read a batch of experiments. InvalidInputError names the field."""
    check("experiments", count_problem(len(messages), 1, MAXIMAL_BATCH))
    experiments = [_experiment_from(message, f"experiments[{index}]") for index, message in enumerate(messages)]
    check_distinct("experiments", [one.experiment_id for one in experiments], ".experiment_id")
    return experiments


def check_alone(experiments: Iterable[Experiment], known: Mapping[str, Experiment]) -> None:
    """PreconditionError when, with these stored, a placement would have two running experiments at a time."""
    stored = dict(known) | {one.experiment_id: one for one in experiments}
    by_placement: dict[str, list[Experiment]] = {}
    for experiment in stored.values():
        if experiment.status is ExperimentStatus.RUNNING:
            for placement in experiment.placements:
                by_placement.setdefault(placement, []).append(experiment)
    for placement, running in by_placement.items():
        for one, other in combinations(running, 2):
            if one.meets(other):
                ids = f"{one.experiment_id} and {other.experiment_id}"
                raise PreconditionError(f"the placement {placement} would have two experiments at a time, {ids}")


def check_held(experiments: Sequence[Experiment], held: Container[str]) -> None:
    """InvalidInputError when an arm, of an experiment that has not ended, names a model that is not among ``held``."""
    for place, experiment in enumerate(experiments):
        if experiment.status is ExperimentStatus.ENDED:
            continue
        for number, arm in enumerate(experiment.arms):
            if arm.model_version and arm.model_version not in held:
                field = f"experiments[{place}].arms[{number}].model_version"
                raise InvalidInputError(field, "is not held in Redis: `dangol publish --hold` brings it there")


def experiment_message(experiment: Experiment) -> catalog_pb2.Experiment:
    """Write an experiment."""
    message = catalog_pb2.Experiment(
        experiment_id=experiment.experiment_id,
        placements=experiment.placements,
        arms=map(_arm_message, experiment.arms),
        salt=experiment.salt,
        mode=_MODE_MESSAGES[experiment.mode],
        status=_STATUS_MESSAGES[experiment.status],
        etag=experiment.etag,
    )
    if experiment.start_time is not None:
        message.start_time.FromDatetime(experiment.start_time)
    if experiment.end_time is not None:
        message.end_time.FromDatetime(experiment.end_time)
    return message


def _arm_message(arm: Arm) -> catalog_pb2.Arm:
    message = catalog_pb2.Arm(arm=arm.arm, weight=arm.weight, holdout=arm.holdout, model_version=arm.model_version)
    if arm.policy is not None:
        message.policy.CopyFrom(policy_message(arm.policy))
    return message


def _experiment_from(message: catalog_pb2.Experiment, field: str) -> Experiment:
    check(f"{field}.experiment_id", kebab_problem(message.experiment_id))
    check(f"{field}.placements", count_problem(len(message.placements), 1, _MAXIMAL_PLACEMENTS))
    check_kebabs(f"{field}.placements", message.placements)
    check_distinct(f"{field}.placements", message.placements)
    check(f"{field}.salt", optional_kebab_problem(message.salt))
    if message.mode not in _MODES:
        raise InvalidInputError(f"{field}.mode", "is not a mode that this server knows")
    if message.status not in _STATUSES:
        raise InvalidInputError(f"{field}.status", "is not a status that this server knows")
    start = time_from(message.start_time, f"{field}.start_time") if message.HasField("start_time") else None
    end = time_from(message.end_time, f"{field}.end_time") if message.HasField("end_time") else None
    if start is not None and end is not None and start >= end:
        raise InvalidInputError(f"{field}.end_time", "is not after start_time")
    return Experiment(
        experiment_id=message.experiment_id,
        placements=tuple(message.placements),
        arms=_arms_from(message, f"{field}.arms"),
        salt=message.salt,
        mode=_MODES[message.mode],
        status=_STATUSES[message.status],
        start_time=start,
        end_time=end,
        etag=message.etag,
    )


def _arms_from(message: catalog_pb2.Experiment, field: str) -> tuple[Arm, ...]:
    interleaved = _MODES[message.mode] is ExperimentMode.INTERLEAVED
    check(field, count_problem(len(message.arms), 2, 2 if interleaved else _MAXIMAL_ARMS))
    check_distinct(field, [arm.arm for arm in message.arms], ".arm")
    return tuple(_arm_from(arm, f"{field}[{index}]", interleaved=interleaved) for index, arm in enumerate(message.arms))


def _arm_from(message: catalog_pb2.Arm, field: str, *, interleaved: bool) -> Arm:
    check(f"{field}.arm", kebab_problem(message.arm))
    check(f"{field}.weight", range_problem(message.weight, 0, _MAXIMAL_WEIGHT))
    if message.holdout and interleaved:
        raise InvalidInputError(f"{field}.holdout", "does not go with an interleaved experiment")
    if message.holdout and message.HasField("policy"):
        raise InvalidInputError(f"{field}.policy", "does not go with holdout")
    check(f"{field}.model_version", optional_id_problem(message.model_version))
    if message.model_version and (message.holdout or interleaved):
        other = "holdout" if message.holdout else "an interleaved experiment"
        raise InvalidInputError(f"{field}.model_version", f"does not go with {other}")
    policy = policy_from(message.policy, f"{field}.policy") if message.HasField("policy") else None
    return Arm(message.arm, message.weight or 1, policy, message.holdout, message.model_version)
