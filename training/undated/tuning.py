"""How an ensemble is tuned: on what was held out, within a budget of trials, by the same steps for any data set."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.progress import Progress
from training.als import Factors
from training.memory import give_back
from training.sources.item_pairs import degrees_of
from training.sources.item_weights import ItemWeights
from training.sources.linear_filter import FilterSettings, learn_filter
from training.sources.local_ease import LocalEaseSettings, Meetings
from training.sources.spectral_ease import SpectralEaseSettings, find_spectrum
from training.undated.climbing import Climb, Grid, Point
from training.undated.ensemble import MODELS, EnsembleSettings, fit_factors
from training.undated.holdout import Trial, draw_trial
from training.undated.mixture import of_one_spread

HELD_SHARE, TRIAL_CUSTOMERS, TRIAL_ITEMS = 0.2, 4_000, 8_000
"""Of each history; customers and items that trials are judged by, which bounds time and memory on any data."""

_EXPONENTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
_FILTER_GRID: Grid = {
    "proposed_exponent": _EXPONENTS,
    "history_exponent": _EXPONENTS,
    "customer_exponent": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
}
_EASE_GRID: Grid = {
    "proposed_exponent": (-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4),
    "customer_exponent": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "regularization": (0.3, 1.0, 3.0, 6.0, 10.0, 16.0, 30.0, 100.0),
    "item_exponent": (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5),
}
_SPECTRAL_GRID: Grid = {
    "proposed_exponent": (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3),
    "regularization": (0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4),
}
_WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0, 3.0)
_KEPT = 2
"""Fits that are kept while a neighbour on the grid is tried: that of the best point, and the newest."""

_FILTER_TRIALS, _EASE_TRIALS, _SPECTRAL_TRIALS, _MIXTURE_TRIALS = 20, 16, 10, 40


@dataclass(frozen=True, slots=True)
class Tuned:
    """Holds the settings that were found, and the factors of what was not held out, where a fit to all may begin."""

    settings: EnsembleSettings
    factors: Factors


def tune_ensemble(matrix: csr_matrix, seed: int, threads: int, progress: Progress) -> Tuned:
    """Tune on a fifth of each history of a matrix (customers, items) of ones; nothing else is looked at."""
    trial = draw_trial(matrix, HELD_SHARE, TRIAL_CUSTOMERS, TRIAL_ITEMS, seed)
    tuning = _Tuning(trial, seed, threads)
    with progress.stage("tune", len(MODELS)) as stage:
        for tune in (tuning.tune_filter, tuning.tune_ease, tuning.tune_spectral):
            tune()
            give_back()
            stage.advance(1)
        factors = tuning.try_factors()
        stage.advance(1)
        return Tuned(replace(tuning.settings, weights=tuning.weights()), factors)


@dataclass(slots=True)
class _Tuning:
    """Tunes one model after the other, and keeps the scores (n, p) of each on the trial for the mixture."""

    trial: Trial
    seed: int
    threads: int
    settings: EnsembleSettings = field(default_factory=EnsembleSettings)
    scores: list[NDArray[np.float32]] = field(default_factory=list)

    def tune_filter(self) -> None:
        """Tune the exponents; only the customers' one needs the pairs anew."""
        plain = replace(self.settings.filter, history_exponent=0.0, proposed_exponent=0.0)

        @lru_cache(_KEPT)
        def learned(exponent: float) -> csr_matrix:
            settings = replace(plain, customer_exponent=exponent)
            return self._proposed(learn_filter(self.trial.known, settings, self.seed, self.trial.targets))

        def scores(point: Point) -> NDArray[np.float32]:
            weights = learned(point["customer_exponent"])
            return self._item_scores(weights, point["history_exponent"], -point["proposed_exponent"])

        best = self._climb(scores, _FILTER_GRID, _FILTER_TRIALS, asdict(self.settings.filter))
        self.settings = replace(self.settings, filter=_with(self.settings.filter, best))

    def tune_ease(self) -> None:
        """Tune local EASE; its proposed exponent needs no new fit, and only the customers' one counts anew."""
        plain = replace(self.settings.ease, proposed_exponent=0.0)

        @lru_cache(_KEPT)
        def counted(exponent: float) -> Meetings:
            return Meetings.of(self.trial.known, exponent, self.seed, self.trial.targets)

        @lru_cache(_KEPT)
        def learned(customer_exponent: float, item_exponent: float, regularization: float) -> csr_matrix:
            settings = replace(plain, item_exponent=item_exponent, regularization=regularization)
            return self._proposed(counted(customer_exponent).ease(settings, self.threads))

        def scores(point: Point) -> NDArray[np.float32]:
            fitted = learned(point["customer_exponent"], point["item_exponent"], point["regularization"])
            return self._item_scores(fitted, 0.0, point["proposed_exponent"])

        best = self._climb(scores, _EASE_GRID, _EASE_TRIALS, asdict(self.settings.ease))
        self.settings = replace(self.settings, ease=_with(self.settings.ease, best))

    def tune_spectral(self) -> None:
        """Tune spectral EASE on one spectrum, with the exponents that suit local EASE."""
        ease = self.settings.ease
        start = replace(
            self.settings.spectral, customer_exponent=ease.customer_exponent, item_exponent=ease.item_exponent
        )
        spectrum = find_spectrum(self.trial.known, start, self.seed, self.threads)
        histories, rows = self.trial.histories, self.trial.item_rows

        def scores(point: Point) -> NDArray[np.float32]:
            model = spectrum.ease(_with(start, point))
            return (histories @ model.inputs) @ model.outputs[rows].T

        best = self._climb(scores, _SPECTRAL_GRID, _SPECTRAL_TRIALS, asdict(start))
        self.settings = replace(self.settings, spectral=_with(start, best))

    def try_factors(self) -> Factors:
        """Fit the factors as they are set: each fit is dear, and their settings matter least."""
        factors = fit_factors(self.trial.known, self.settings.factors, self.seed, self.threads)
        self.scores.append(factors.customers[self.trial.customer_rows] @ factors.items[self.trial.item_rows].T)
        return factors

    def weights(self) -> tuple[float, ...]:
        """Tune the weights of the mixture."""
        spread = [of_one_spread(scores) for scores in self.scores]
        start = dict(zip(MODELS, self.settings.weights, strict=True))

        def quality(point: Point) -> float:
            mixed = np.zeros_like(spread[0])
            for name, part in zip(MODELS, spread, strict=True):
                mixed += np.float32(point[name]) * part
            return self.trial.quality(mixed)

        best = Climb(quality, dict.fromkeys(MODELS, _WEIGHTS), _MIXTURE_TRIALS).best_from(start)
        return tuple(best[name] for name in MODELS)

    def _climb(
        self, scores: Callable[[Point], NDArray[np.float32]], grid: Grid, trials: int, start: Mapping[str, float]
    ) -> dict[str, float]:
        best = Climb(lambda point: self.trial.quality(scores(point)), grid, trials).best_from(start)
        self.scores.append(scores(best))
        return best

    def _proposed(self, weights: ItemWeights) -> csr_matrix:
        """Keep the columns of the drawn items, (items, p)."""
        return weights.weights[:, self.trial.item_rows]

    def _item_scores(
        self, weights: csr_matrix, history_exponent: float, proposed_exponent: float
    ) -> NDArray[np.float32]:
        """Score the trial, with weights (items, p), rows divided and columns multiplied by powers of the degrees."""
        histories = self.trial.histories
        histories.data *= self._degrees[histories.indices] ** np.float32(-history_exponent)
        scores: NDArray[np.float32] = (histories @ weights).toarray()
        return scores * self._degrees[self.trial.item_rows] ** np.float32(proposed_exponent)

    @property
    def _degrees(self) -> NDArray[np.float32]:
        return degrees_of(self.trial.known)[1]


_Settings = TypeVar("_Settings", FilterSettings, LocalEaseSettings, SpectralEaseSettings)


def _with(settings: _Settings, values: Mapping[str, Any]) -> _Settings:
    """Change the fields that are named."""
    return replace(settings, **values)
