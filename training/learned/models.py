"""The models that find and describe items at a moment, each by the name that a configuration chooses it by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix, csr_matrix, vstack

from models.candidates import Source
from training.als import fit, random_factors
from training.config import FactorSettings, LearnedSource
from training.learned.log import EventLog
from training.learned.pairs import matrix_at
from training.ranked_factors import BPR, LMF, fit_bpr, fit_lmf
from training.sources.content import learn_content
from training.sources.factor_scores import FactorScores, LogisticScores
from training.sources.item_weights import ItemWeights
from training.sources.kindred import learn_kindred
from training.sources.linear_filter import BOUGHT_WITH, COSINE, RP3_BETA, FilterSettings, learn_bm25, learn_filter
from training.sources.local_ease import LocalEaseSettings, learn_local_ease
from training.sources.scorer import Scorer
from training.sources.spectral_ease import SpectralEaseSettings, learn_spectral_ease
from training.sources.temporal_ridge import TemporalRidgeSettings, learn_temporal_ridge

LONGEST_HISTORY = 150
"""Columns of one customer that models are fitted and applied on: the largest ones."""

_RIDGE_WINDOWS = (1, 2, 3, 12, 13)
"""Windows that first purchases are learned from, counted back from the cut: the last ones, and those of last year."""

_EASE = LocalEaseSettings(customer_exponent=0.6, regularization=3.0, proposed_exponent=0.25)
_SPECTRAL = SpectralEaseSettings(rank=256)
_NEIGHBORS = 100
_SLOW, _MIDDLE, QUICK = 500.0, 120.0, 30.0
"""Half-lives in days of the histories that tell taste, what is due next, and what is bought lately."""


@dataclass(frozen=True, slots=True)
class Model:
    """Is a fitted model with what it reads, ``histories`` (customers, c).

    ``source`` is what candidates name that it speaks for; ``speakers`` (c, c) are the weights of a linear one, by the
    item that they speak for, which tell what a score rests on.
    """

    name: LearnedSource
    scorer: Scorer
    histories: csr_matrix
    source: Source = Source.COLLABORATIVE
    speakers: csc_matrix | None = None

    def score(self, customer_rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Score all columns for some customers, (n, c)."""
        return self.scorer.score(customer_rows, self.histories[customer_rows])


@dataclass(frozen=True, slots=True)
class Known:
    """Holds what models are learned from at the second ``cut``: events, and histories (customers, c) made of them.

    ``columns`` (c,) are ascending item rows, ``place`` (items,) leads back or is -1; ``span`` in seconds is the length
    of a window. ``histories`` tell what is due next, ``tastes`` fade slowly, ``lately`` quickly.
    """

    log: EventLog
    cut: int
    span: int
    columns: NDArray[np.int64]
    place: NDArray[np.int64]
    histories: csr_matrix
    tastes: csr_matrix
    lately: csr_matrix
    factors: FactorSettings
    seed: int
    threads: int

    @classmethod
    def at(
        cls, log: EventLog, cut: int, span: int, columns: NDArray[np.int64], factors: FactorSettings, seed: int,
        threads: int,
    ) -> "Known":  # fmt: skip
        """Add the events before the cut up."""
        place = np.full(log.items, -1, dtype=np.int64)
        place[columns] = np.arange(len(columns))
        histories, tastes, lately = (
            matrix_at(log, cut, half_life, columns, LONGEST_HISTORY) for half_life in (_MIDDLE, _SLOW, QUICK)
        )
        return cls(log, cut, span, columns, place, histories, tastes, lately, factors, seed, threads)

    def baskets(self) -> csr_matrix:
        """Give what was bought together, in one second by one customer: (baskets, c) of 0 and 1."""
        log = self.log
        chosen = np.flatnonzero(log.is_target & (log.second < self.cut) & (self.place[log.item] >= 0))
        keys = (log.customer[chosen].astype(np.int64) << 34) | log.second[chosen]
        baskets, rows = np.unique(keys, return_inverse=True)
        ones = np.ones(len(chosen), dtype=np.float32)
        return csr_matrix((ones, (rows, self.place[log.item[chosen]])), shape=(len(baskets), len(self.columns)))

    def first_purchases(self) -> tuple[csr_matrix, csr_matrix]:
        """Give histories before some windows, one below the other, and what was bought for the first time in them."""
        oldest = int(self.log.second.min())
        firsts = [first for number in _RIDGE_WINDOWS if (first := self.cut - number * self.span) > oldest] or [oldest]
        histories = [matrix_at(self.log, first, _MIDDLE, self.columns, LONGEST_HISTORY) for first in firsts]
        targets = [self._firsts_within(first, first + self.span) for first in firsts]
        return vstack(histories, format="csr"), vstack(targets, format="csr")

    def _firsts_within(self, first: int, stop: int) -> csr_matrix:
        """Give what customers bought for the first time in a window, (customers, c) of 0 and 1."""
        log = self.log
        chosen = log.is_first & (log.second >= first) & (log.second < stop) & (self.place[log.item] >= 0)
        ones = np.ones(int(chosen.sum()), dtype=np.float32)
        shape = (log.customers, len(self.columns))
        return csr_matrix((ones, (log.customer[chosen], self.place[log.item[chosen]])), shape=shape)


def learn_models(known: Known, chosen: Sequence[LearnedSource]) -> tuple[Model, ...]:
    """Fit the models that are chosen, in the order of all."""
    return tuple(learn(known) for name, learn in MODELS.items() if name in chosen)


def _linear(
    name: LearnedSource, learn: Callable[[Known], ItemWeights], read: Callable[[Known], csr_matrix]
) -> Callable[[Known], Model]:
    """Say how a linear model is made."""

    def model(known: Known) -> Model:
        weights = learn(known)
        return Model(name, weights, read(known), Source.NEIGHBORS, weights.weights.tocsc())

    return model


def _histories(known: Known) -> csr_matrix:
    return known.histories


def _tastes(known: Known) -> csr_matrix:
    return known.tastes


def _als(known: Known) -> Scorer:
    confidence = known.tastes.copy()
    confidence.data = 1 + np.float32(known.factors.confidence_scale) * confidence.data
    start = random_factors(confidence.shape, known.factors, known.seed)
    sweeps = known.factors.first_sweeps
    return FactorScores(fit(confidence, start, known.factors, sweeps, known.threads))


def _spectral(known: Known) -> Scorer:
    return learn_spectral_ease(known.tastes, _SPECTRAL, known.seed, known.threads)


MODELS: Mapping[LearnedSource, Callable[[Known], Model]] = {
    "ease": _linear("ease", lambda known: learn_local_ease(known.tastes, _EASE, known.seed, known.threads), _histories),
    "ridge": _linear(
        "ridge", lambda known: learn_temporal_ridge(*known.first_purchases(), TemporalRidgeSettings()), _histories
    ),
    "content": _linear("content", lambda known: learn_content(known.log.attributes.words[known.columns]), _histories),
    "kindred": lambda known: Model("kindred", learn_kindred(known.tastes, known.lately, known.seed), known.tastes),
    "complementary": _linear(
        "complementary",
        lambda known: learn_filter(known.baskets(), BOUGHT_WITH, known.seed),
        lambda known: known.lately,
    ),
    "cosine": _linear("cosine", lambda known: learn_filter(known.tastes, COSINE, known.seed), _tastes),
    "bm25": _linear("bm25", lambda known: learn_bm25(known.tastes, _NEIGHBORS, known.seed), _tastes),
    "rp3-beta": _linear("rp3-beta", lambda known: learn_filter(known.tastes, RP3_BETA, known.seed), _tastes),
    "filter": _linear(
        "filter", lambda known: learn_filter(known.tastes, FilterSettings(neighbors=_NEIGHBORS), known.seed), _tastes
    ),
    "spectral": lambda known: Model("spectral", _spectral(known), known.tastes),
    "als": lambda known: Model("als", _als(known), known.tastes),
    "bpr": lambda known: Model("bpr", LogisticScores(fit_bpr(known.tastes, BPR, known.seed)), known.tastes),
    "lmf": lambda known: Model("lmf", LogisticScores(fit_lmf(known.tastes, LMF, known.seed)), known.tastes),
}
"""How each is fitted; the order is that of the features, and of sources that speak as loudly."""
