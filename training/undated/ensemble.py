"""Linear and factor models of one behaviour, mixed into one scorer."""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix

from training.als import Factors, fit, random_factors
from training.config import FactorSettings
from training.sources.factor_scores import FactorScores
from training.sources.item_pairs import degrees_of, scaled
from training.sources.linear_filter import FilterSettings, learn_filter
from training.sources.local_ease import LocalEaseSettings, learn_local_ease
from training.sources.scorer import Scorer
from training.sources.spectral_ease import SpectralEaseSettings, learn_spectral_ease
from training.undated.mixture import Mixture

MODELS = ("linear-filter", "local-ease", "spectral-ease", "als")
"""What is mixed, in the order of the weights."""

_CONFIDENCE, _DEGREE_EXPONENT = 40.0, 0.5
_ROWS_PER_FACTOR = 20
_FACTORS = FactorSettings(factors=512, regularization=40.0, first_sweeps=8, later_sweeps=3)


@dataclass(frozen=True, slots=True)
class EnsembleSettings:
    """Holds the settings of each model, and its weight in the mixture in the order of MODELS."""

    filter: FilterSettings = field(default_factory=FilterSettings)
    ease: LocalEaseSettings = field(default_factory=LocalEaseSettings)
    spectral: SpectralEaseSettings = field(default_factory=SpectralEaseSettings)
    factors: FactorSettings = field(default_factory=lambda: _FACTORS)
    weights: tuple[float, ...] = (0.15, 1.0, 0.25, 0.8)


def fit_ensemble(
    matrix: csr_matrix, settings: EnsembleSettings, seed: int, threads: int, start: Factors | None = None
) -> Mixture:
    """Fit all models of the mixture to a matrix (customers, items) of ones; ``start`` is as in :func:`fit_factors`."""
    scorers: tuple[Scorer, ...] = (
        learn_filter(matrix, settings.filter, seed),
        learn_local_ease(matrix, settings.ease, seed, threads),
        learn_spectral_ease(matrix, settings.spectral, seed, threads),
        FactorScores(fit_factors(matrix, settings.factors, seed, threads, start)),
    )
    return Mixture(scorers, settings.weights)


def fit_factors(
    matrix: csr_matrix, settings: FactorSettings, seed: int, threads: int, start: Factors | None = None
) -> Factors:
    """Fit ALS on confidences that hold back long histories and popular items, 40 on average.

    ``start`` are factors that were fitted with the same settings to a part of the matrix, and are improved in place by
    the later sweeps; without them the first sweeps begin at random ones. No more factors than a twentieth of the
    customers or items: more would learn them by heart.
    """
    by_customer, by_item = (degrees ** np.float32(-_DEGREE_EXPONENT) for degrees in degrees_of(matrix))
    confidence = scaled(matrix, by_customer, by_item)
    confidence.data *= np.float32(_CONFIDENCE / max(float(confidence.data.mean()), 1e-12))
    confidence.data += np.float32(1)
    factors = max(1, min(settings.factors, min(matrix.shape) // _ROWS_PER_FACTOR))
    bounded = settings.model_copy(update={"factors": factors})
    if start is not None:
        return fit(confidence, start, bounded, bounded.later_sweeps, threads)
    return fit(confidence, random_factors(matrix.shape, bounded, seed), bounded, bounded.first_sweeps, threads)
