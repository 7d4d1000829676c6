"""The work of one process: it tries settings until the budget is spent, and writes into the study what came of them."""

import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from statistics import fmean

from optuna import Study, Trial, TrialPruned
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from models.errors import DangolError, InvalidInputError
from models.progress import SilentProgress
from training.evaluation import OURS
from training.job import judge_windows
from training.scopes import split_metric
from training.tuning.space import configured, settings_at
from training.tuning.studies import is_first, open_study
from training.tuning.task import Ground, Task, ground_of

_LEAST_SECONDS = 1.0

COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
"""Trials that came to an end count towards the bound on trials."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Bounds the work: ``deadline`` in seconds since 1970, and how many trials a study may hold, if bounded."""

    deadline: float
    trials: int | None


def work(task: Task, path: Path, number: int, budget: Budget, errors: "SimpleQueue[Exception]") -> None:
    """Try settings in a process of its own; what goes wrong is put into ``errors``."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with ground_of(task) as ground:
            _try_settings(task, ground, open_study(path, task, number), budget)
    except DangolError as error:
        errors.put(error)
    except Exception as error:  # noqa: BLE001 - whoever waits for this process has to know, whatever it was
        errors.put(RuntimeError(f"{type(error).__name__}: {error}"))


def _try_settings(task: Task, ground: Ground, study: Study, budget: Budget) -> None:
    callbacks = [MaxTrialsCallback(budget.trials, states=COUNTED)] if budget.trials else []
    # Reading may have taken the whole budget; the first trial is owed all the same.
    left = max(budget.deadline - time.time(), _LEAST_SECONDS)
    study.optimize(lambda trial: _value(task, ground, trial, budget.deadline), timeout=left, callbacks=callbacks)


def _value(task: Task, ground: Ground, trial: Trial, deadline: float) -> float:
    """Average the metric over the windows, from the oldest on; give up early what is worse than most were.

    That of the settings as they were is always finished: others are compared with it.
    """
    found = {
        one.name: trial.suggest_int(one.name, int(one.low), int(one.high), log=True)
        if one.whole
        else trial.suggest_float(one.name, one.low, one.high, log=True)
        for one in task.space
    }
    configuration = configured(ground.configuration, settings_at(task.space, found))
    scope, metric = split_metric(task.inputs.metric)
    values: list[float] = []
    try:
        for table in judge_windows(ground.store, ground.summary, configuration, ground.attributes, SilentProgress()):
            values.append(table[OURS, scope][metric].value if (OURS, scope) in table else 0.0)
            trial.report(fmean(values), len(values))
            late = time.time() > deadline and len(values) < task.inputs.windows
            if not is_first(trial) and (late or trial.should_prune()):
                raise TrialPruned
    except InvalidInputError as error:
        if error.field == "factors":
            raise TrialPruned from error
        raise
    if not values:
        raise InvalidInputError("sources", "nobody bought anything in the windows that judge")
    return fmean(values)
