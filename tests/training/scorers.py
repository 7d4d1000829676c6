"""Every model that scores the whole catalogue, in a size for small shops."""

from collections.abc import Callable

from scipy.sparse import csr_matrix

from training.als import fit, random_factors
from training.config import FactorSettings
from training.ranked_factors import RankedFactorSettings, fit_bpr, fit_lmf
from training.sources.factor_scores import FactorScores, LogisticScores
from training.sources.kindred import learn_kindred
from training.sources.linear_filter import BOUGHT_WITH, COSINE, RP3_BETA, FilterSettings, learn_bm25, learn_filter
from training.sources.local_ease import LocalEaseSettings, learn_local_ease
from training.sources.scorer import Scorer
from training.sources.spectral_ease import SpectralEaseSettings, learn_spectral_ease
from training.sources.temporal_ridge import TemporalRidgeSettings, learn_temporal_ridge


def als_of(matrix: csr_matrix, seed: int, threads: int) -> Scorer:
    chosen = FactorSettings(factors=4, regularization=0.1)
    confidence = matrix.copy()
    confidence.data = 1 + 10 * confidence.data
    return FactorScores(fit(confidence, random_factors(matrix.shape, chosen, seed), chosen, 10, threads))


def bpr_of(matrix: csr_matrix, seed: int, threads: int) -> Scorer:
    return LogisticScores(fit_bpr(matrix, RankedFactorSettings(4, 0.1, 0.001, 150), seed))


def lmf_of(matrix: csr_matrix, seed: int, threads: int) -> Scorer:
    return LogisticScores(fit_lmf(matrix, RankedFactorSettings(4, 0.5, 0.1, 60), seed))


RIDGE = TemporalRidgeSettings(regularization=0.1, neighbors=12)

SCORERS: dict[str, Callable[[csr_matrix, int, int], Scorer]] = {
    "linear-filter": lambda matrix, seed, threads: learn_filter(matrix, FilterSettings(), seed),
    "rp3-beta": lambda matrix, seed, threads: learn_filter(matrix, RP3_BETA, seed),
    "complementary": lambda matrix, seed, threads: learn_filter(matrix, BOUGHT_WITH, seed),
    "cosine": lambda matrix, seed, threads: learn_filter(matrix, COSINE, seed),
    "bm25": lambda matrix, seed, threads: learn_bm25(matrix, 50, seed),
    "local-ease": lambda matrix, seed, threads: learn_local_ease(matrix, LocalEaseSettings(), seed, threads),
    "spectral-ease": lambda matrix, seed, threads: learn_spectral_ease(
        matrix, SpectralEaseSettings(rank=6), seed, threads
    ),
    "temporal-ridge": lambda matrix, seed, threads: learn_temporal_ridge(matrix, matrix, RIDGE),
    "kindred": lambda matrix, seed, threads: learn_kindred(matrix, matrix, seed),
    "als": als_of,
    "bpr": bpr_of,
    "lmf": lmf_of,
}
