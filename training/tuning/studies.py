"""The only place that knows how a study is kept: a journal file that several processes append to."""

from pathlib import Path

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from models.errors import InvalidInputError
from training.tuning.task import Task

_TASK, _FIRST = "task", "first"
_JOURNAL_HEAD = b'{"op_code"'
_STARTUP_TRIALS = 5
"""Trials at random before it is said where to look, or what is worse than most."""


def open_study(path: Path, task: Task, number: int) -> optuna.Study:
    """Open the study of a task for the process of that number, or begin it.

    The journal holds nothing of customers. InvalidInputError when the file is no journal, or one of another task.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_journal(path)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))),
        study_name=_TASK,
        load_if_exists=True,
        direction="maximize",
        # A study that goes on must not try the same points again.
        sampler=TPESampler(seed=_seed(task, path, number), n_startup_trials=_STARTUP_TRIALS),
        pruner=MedianPruner(n_startup_trials=_STARTUP_TRIALS),
    )
    document = task.document()
    if study.user_attrs.get(_TASK, document) != document:
        raise InvalidInputError(str(path), "belongs to other events or settings: name another file, or delete it")
    if _TASK not in study.user_attrs:
        study.set_user_attr(_TASK, document)
    return study


def _check_journal(path: Path) -> None:
    """Refuse a file of another kind before anything is appended to it."""
    with path.open("ab+") as file:
        file.seek(0)
        head = file.read(len(_JOURNAL_HEAD))
    if head and head != _JOURNAL_HEAD:
        raise InvalidInputError(str(path), "is not a journal of tuning")


def put_away(study: optuna.Study) -> None:
    """Mark trials as failed whose process has gone: they would be waited for."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def owe_first(study: optuna.Study, task: Task) -> None:
    """Let the settings as they were be tried next, unless they were or will be: others are compared with them."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.WAITING))
    if not any(is_first(trial) for trial in trials):
        start = {one.name: int(one.start) if one.whole else one.start for one in task.space}
        study.enqueue_trial(start, user_attrs={_FIRST: True})


def is_first(trial: optuna.Trial | optuna.trial.FrozenTrial) -> bool:
    """Tell whether a trial is of the settings as they were."""
    return bool(trial.user_attrs.get(_FIRST))


def first_value(study: optuna.Study) -> float | None:
    """Give the value of the settings as they were; None before that trial is finished."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return next((trial.value for trial in complete if is_first(trial)), None)


def _seed(task: Task, path: Path, number: int) -> int:
    length = path.stat().st_size if path.is_file() else 0
    return (task.inputs.configuration.seed + 1_000_003 * number + length) % 2**32
