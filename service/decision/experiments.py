"""Which experiments run where, and what they do to a question."""

from collections.abc import Mapping
from dataclasses import replace

from models.experiments import Experiment, ExperimentMode, ExperimentStatus, arm_of
from models.offers import Placement
from models.policy import Policy
from service.decision.query import Query, SlateQuery, Treatment

RunningExperiments = Mapping[str, tuple[Experiment, ...]]
"""Holds the running experiments of each placement, by id; which of them holds depends on the time."""


def index_experiments(experiments: Mapping[str, Experiment]) -> RunningExperiments:
    """Find the running experiments by placement."""
    found: dict[str, tuple[Experiment, ...]] = {}
    for experiment_id in sorted(experiments):
        experiment = experiments[experiment_id]
        if experiment.status is ExperimentStatus.RUNNING:
            for placement in experiment.placements:
                found[placement] = (*found.get(placement, ()), experiment)
    return found


def treat(query: Query, running: RunningExperiments, customer_id: str) -> Query:
    """Give the query as the running experiments would have it for a customer; the same one where none holds."""
    slates = [_treated(slate, running, customer_id, query.now) for slate in query.slates]
    return query._replace(slates=slates) if any(slate.treatment for slate in slates) else query


def _treated(slate: SlateQuery, running: RunningExperiments, customer_id: str, now: float) -> SlateQuery:
    placement = slate.placement
    found = (one for one in running.get(placement.placement, ()) if one.holds_at(now))
    experiment = next(found, None)
    if experiment is None:
        return slate
    if experiment.mode is ExperimentMode.INTERLEAVED:
        rivals = tuple((arm.arm, _certain(_under(placement, arm.policy))) for arm in experiment.arms)
        return slate._replace(treatment=Treatment(experiment.experiment_id, rivals=rivals))
    arm = arm_of(experiment, customer_id)
    treatment = Treatment(experiment.experiment_id, arm.arm, arm.holdout, model_version=arm.model_version)
    return SlateQuery(_under(placement, arm.policy), slate.size, treatment)


def _certain(placement: Placement) -> Placement:
    """Leave nothing to chance: within interleaved rankings its probabilities would not be those of the slate."""
    if placement.policy.exploration is None:
        return placement
    return replace(placement, policy=replace(placement.policy, exploration=None))


def _under(placement: Placement, policy: Policy | None) -> Placement:
    return placement if policy is None else replace(placement, policy=policy)
