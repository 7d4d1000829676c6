"""Tuning: processes try settings within a budget of time, and the best are written down as a configuration."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import FrameType

from optuna import Study
from optuna.trial import TrialState

from training.tuning.found import Found, found_in
from training.tuning.studies import first_value, open_study, owe_first, put_away
from training.tuning.task import Task
from training.tuning.trials import Budget, work

_POLL_SECONDS = 0.5
_GRACE_SECONDS = 20.0
"""How long a process that is told to end may take until it has put its files away."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Says how far tuning is: seconds gone, trials that came to an end, the first value and the best; None before."""

    seconds: float
    trials: int
    first: float | None
    best: float | None


def tune(
    task: Task,
    path: Path,
    *,
    minutes: float,
    trials: int | None,
    jobs: int,
    watch: Callable[[Standing], None],
) -> Found:
    """Try settings for ``minutes`` or until the study holds so many trials, in ``jobs`` processes; tell the best.

    The study goes on where the journal at ``path`` ended. Ctrl-C ends it early: what was found until then is told.
    ``watch`` is called twice a second. InvalidInputError when the journal is of another task.
    """
    study = open_study(path, task, jobs)
    put_away(study)
    owe_first(study, task)
    began = time.time()
    if trials is not None and _standing(study, 0).trials >= trials:
        return found_in(task, study, interrupted=False)
    budget = Budget(began + minutes * 60, trials)
    errors: SimpleQueue[Exception] = multiprocessing.get_context("spawn").SimpleQueue()
    with _interruptions_noted() as noted:
        with _workers(task, path, budget, jobs, errors) as workers:
            while not noted and errors.empty() and (alive := [one.sentinel for one in workers if one.is_alive()]):
                watch(_standing(study, time.time() - began))
                wait(alive, _POLL_SECONDS)
        put_away(study)
    # Whoever was told to end in the middle of something may complain.
    if not noted and not errors.empty():
        raise errors.get()
    watch(_standing(study, time.time() - began))
    return found_in(task, study, interrupted=bool(noted))


@contextmanager
def _interruptions_noted() -> Iterator[list[int]]:
    """Gather interruptions instead of being stopped by them: the journal must not be left half written."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(number: int, _: FrameType | None) -> None:
        noted.append(number)

    earlier = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield noted
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def _workers(
    task: Task, path: Path, budget: Budget, jobs: int, errors: "SimpleQueue[Exception]"
) -> Iterator[Sequence[BaseProcess]]:
    """Start processes, and end those that still work when the context does."""
    context = multiprocessing.get_context("spawn")
    threads = max(1, task.inputs.configuration.resources.threads // jobs)
    shared = _with_threads(task, threads)
    workers = [
        context.Process(target=work, args=(shared, path, number, budget, errors), daemon=True) for number in range(jobs)
    ]
    with _interruptions_left_to_us():
        for worker in workers:
            worker.start()
    try:
        yield workers
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(_GRACE_SECONDS)
            if worker.is_alive():
                worker.kill()


def _with_threads(task: Task, threads: int) -> Task:
    """Share the threads among the processes; they change nothing in what is found."""
    configuration = task.inputs.configuration
    resources = configuration.resources.model_copy(update={"threads": threads})
    inputs = replace(task.inputs, configuration=configuration.model_copy(update={"resources": resources}))
    return replace(task, inputs=inputs)


@contextmanager
def _interruptions_left_to_us() -> Iterator[None]:
    """Let processes that are started here ignore Ctrl-C, which a terminal sends to all of them at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)


def _standing(study: Study, seconds: float) -> Standing:
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    values = [trial.value for trial in ended if trial.value is not None and trial.state is TrialState.COMPLETE]
    return Standing(seconds, len(ended), first_value(study), max(values, default=None))
