"""Experiments: ways to fill slates that are compared, and which of them a customer meets."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from models.policy import Policy

DRAWS = 2**32
"""How many different draws there are."""

CODE_LENGTH = 6
_CODE_MARK = "."


class ExperimentMode(Enum):
    """Tells whether each customer meets one arm or everybody the interleaved rankings of two."""

    SPLIT = "split"
    INTERLEAVED = "interleaved"


class ExperimentStatus(Enum):
    """Tells whether an experiment is on; only RUNNING is."""

    DRAFT = "draft"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Arm:
    """Is one way to fill slates: by ``policy`` (None: the placement's own), or by nothing but the fallback.

    ``model_version`` names the model whose lists fill them; empty for the one that is served.
    """

    arm: str
    weight: int = 1
    policy: Policy | None = None
    holdout: bool = False
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Compares arms on placements; the first arm is what the others are compared with.

    ``start_time`` is inclusive, ``end_time`` exclusive, both UTC. ``etag`` is as in :class:`~models.offers.Offer`.
    """

    experiment_id: str
    placements: tuple[str, ...]
    arms: tuple[Arm, ...]
    salt: str = ""
    mode: ExperimentMode = ExperimentMode.SPLIT
    status: ExperimentStatus = ExperimentStatus.RUNNING
    start_time: datetime | None = None
    end_time: datetime | None = None
    etag: str = field(default="", compare=False)

    def holds_at(self, now: float) -> bool:
        """Tell whether it is on at ``now``, seconds since 1970, UTC."""
        return (
            self.status is ExperimentStatus.RUNNING
            and (self.start_time is None or self.start_time.timestamp() <= now)
            and (self.end_time is None or now < self.end_time.timestamp())
        )

    def meets(self, other: "Experiment") -> bool:
        """Tell whether both run at some time, whatever their placements."""
        both = (self, other)
        starts = [one.start_time for one in both if one.start_time is not None]
        ends = [one.end_time for one in both if one.end_time is not None]
        running = all(one.status is ExperimentStatus.RUNNING for one in both)
        return running and (not starts or not ends or max(starts) < min(ends))


def models_of(experiments: Iterable[Experiment]) -> frozenset[str]:
    """Give the versions of models that arms of running experiments name."""
    running = (one for one in experiments if one.status is ExperimentStatus.RUNNING)
    return frozenset(arm.model_version for one in running for arm in one.arms if arm.model_version)


def arm_of(experiment: Experiment, customer_id: str) -> Arm:
    """Give the arm that a customer meets: the one whose part of the weights, laid end to end, holds the draw.

    docs/experiments.md says the same for other languages, with known answers.
    """
    total = sum(arm.weight for arm in experiment.arms)
    place = draw(experiment.salt or experiment.experiment_id, customer_id) * total // DRAWS
    for arm in experiment.arms:
        place -= arm.weight
        if place < 0:
            return arm
    raise AssertionError("the draw is below the sum of all weights")


def draw(salt: str, customer_id: str) -> int:
    """Give 0 … DRAWS - 1: the first four bytes, big-endian, of the SHA-256 of ``<salt>/<customer id>`` in UTF-8.

    A salt is kebab-case, so that no two pairs give the same text.
    """
    return int.from_bytes(hashlib.sha256(f"{salt}/{customer_id}".encode()).digest()[:4], "big")


def code_of(experiment_id: str) -> str:
    """Give the code that stands for an experiment in request ids: the beginning of the id's SHA-256."""
    return hashlib.sha256(experiment_id.encode()).hexdigest()[:CODE_LENGTH]


def marked(request_id: str, experiment_ids: Iterable[str]) -> str:
    """Give a request id that leads to the experiments that had to do with the answer."""
    codes = dict.fromkeys(code_of(experiment_id) for experiment_id in experiment_ids)
    return _CODE_MARK.join((request_id, *codes))


def leads_to(request_id: str, experiment_id: str) -> bool:
    """Tell whether an experiment had to do with the answer of a request id."""
    return code_of(experiment_id) in request_id.split(_CODE_MARK)[1:]
