"""What tuning found: the best settings as a training configuration, what they gained, what mattered."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from optuna import Study
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from models.errors import PreconditionError
from training.tuning.space import content_at, settings_at
from training.tuning.studies import first_value
from training.tuning.task import Task

_LEAST_TRIALS = 10
"""Finished trials below which nothing is said about what mattered."""


@dataclass(frozen=True, slots=True)
class Found:
    """Holds the outcome of a study.

    ``first`` is the metric of the settings as they were, ``best`` that of the best found; each None before such a trial
    is finished. ``settings`` are the best by flat names, ``content`` is the whole configuration with them,
    ``until`` left out. ``importances`` say, as shares that add up to 1, how much of what distinguishes the best fifth
    lies in a setting; empty with few trials.
    """

    metric: str
    first: float | None
    best: float | None
    trials: Mapping[str, int]
    settings: Mapping[str, Any]
    content: Mapping[str, Any]
    importances: Mapping[str, float]
    interrupted: bool

    def document(self) -> dict[str, Any]:
        """Describe it for machines."""
        return {
            "metric": self.metric,
            "first": self.first,
            "best": self.best,
            "trials": dict(self.trials),
            "settings": dict(self.settings),
            "importances": dict(self.importances),
            "interrupted": self.interrupted,
        }

    def write(self, path: Path) -> None:
        """Write the configuration as TOML for ``dangol train --config``, whole or not at all.

        PreconditionError while the settings as they were, or any others, are not known to compare.
        """
        if self.first is None or self.best is None:
            raise PreconditionError("no trial was finished yet, so there is nothing to write")
        path.parent.mkdir(parents=True, exist_ok=True)
        head = (
            f"# Found by dangol tune: {self.metric} {self.best:.4f} on validation windows, {self.first:.4f} before.\n"
        )
        aside = path.with_name(f".{path.name}")
        aside.write_text(head + tomli_w.dumps(_without_none(self.content)), encoding="utf-8")
        aside.replace(path)


def found_in(task: Task, study: Study, *, interrupted: bool) -> Found:
    """Read the outcome out of a study."""
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE and trial.value is not None]
    best = max(complete, key=_value, default=None)
    settings = settings_at(task.space, best.params) if best else {}
    content = content_at(task.inputs.configuration, settings)
    return Found(
        metric=task.inputs.metric,
        first=first_value(study),
        best=_value(best) if best else None,
        trials={name.lower(): count for name, count in sorted(Counter(trial.state.name for trial in trials).items())},
        settings=settings,
        content={name: value for name, value in content.items() if name != "until"},
        importances=_importances(study, complete),
        interrupted=interrupted,
    )


def _value(trial: FrozenTrial) -> float:
    return float("-inf") if trial.value is None else trial.value


def _importances(study: Study, complete: list[FrozenTrial]) -> dict[str, float]:
    """Compare where the best fifth lies with where all lie (PED-ANOVA, Watanabe, Bansal and Hutter, IJCAI 2023)."""
    if len(complete) < _LEAST_TRIALS or len({trial.value for trial in complete}) < 3:
        return {}
    found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(target_quantile=0.2))
    return {name: round(float(share), 4) for name, share in found.items()}


def _without_none(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what TOML cannot say: a setting that is not set."""
    return {
        name: _without_none(value) if isinstance(value, Mapping) else str(value) if isinstance(value, Path) else value
        for name, value in content.items()
        if value is not None
    }
