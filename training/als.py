"""The first of two places that know ``implicit``: alternating least squares, top lists, item neighbours.

Its quirks are mended here: padding with item 0 beyond the catalogue, arbitrary items for an empty history, factors that
are not finite, and BLAS threads that fight with its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.topk import topk
from implicit.nearest_neighbours import all_pairs_knn
from implicit.recommender_base import ModelFitError
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from models.errors import InvalidInputError
from training.config import FactorSettings

_INITIAL_SCALE = np.float32(0.01)


@dataclass(frozen=True, slots=True)
class Factors:
    """Holds ``customers`` (n, f) and ``items`` (m, f), float32; a row without interactions is all zeros."""

    customers: NDArray[np.float32]
    items: NDArray[np.float32]


def random_factors(shape: tuple[int, int], settings: FactorSettings, seed: int) -> Factors:
    """Give the factors that a first fit begins with, for so many customers and items."""
    randomness = np.random.default_rng(seed)
    customers, items = (randomness.random((count, settings.factors), dtype=np.float32) for count in shape)
    customers *= _INITIAL_SCALE
    items *= _INITIAL_SCALE
    return Factors(customers, items)


def fit(
    confidence: csr_matrix,
    start: Factors,
    settings: FactorSettings,
    sweeps: int,
    threads: int,
    losses: list[float] | None = None,
) -> Factors:
    """Improve factors by so many sweeps of alternating least squares (Hu, Koren and Volinsky 2008; conjugate gradient).

    ``confidence`` (n, m) float32: above 0 liked, below 0 disliked with that confidence. Works in place on ``start``.
    The loss after each sweep is added to ``losses``, if they are wanted: taking it costs about half a sweep.
    InvalidInputError when the fit diverges.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=settings.factors,
            regularization=settings.regularization,
            alpha=1.0,
            iterations=sweeps,
            num_threads=threads,
            random_state=0,
            calculate_training_loss=losses is not None,
        )
        model.user_factors, model.item_factors = start.customers, start.items
        try:
            model.fit(confidence, show_progress=False, callback=_keeps(losses))
        except (ModelFitError, ValueError) as error:
            raise diverged() from error
    if not (np.isfinite(model.user_factors).all() and np.isfinite(model.item_factors).all()):
        raise diverged()
    return Factors(model.user_factors, model.item_factors)


def _keeps(losses: list[float] | None) -> Callable[[int, float, float], None] | None:
    """Give what is called after each sweep with its number, its seconds and the loss."""
    if losses is None:
        return None

    def keep(_sweep: int, _seconds: float, loss: float) -> None:
        losses.append(round(float(loss), 8))

    return keep


def best_items(
    items: NDArray[np.float32], customers: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Give the rows and scores of the items with the highest inner product, best first: (n, min(count, items))."""
    rows, scores = topk(items, np.ascontiguousarray(customers), min(count, len(items)), num_threads=1)
    return rows.astype(np.int32, copy=False), scores.astype(np.float32, copy=False)


def nearest_items(
    customer_items: csr_matrix, count: int, threads: int
) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.uint16]]:
    """Give for each item the ``count`` columns with the highest inner product, itself left out, best first.

    Rows (m, count) uint32, scores (m, count) float32, of which the first counts (m,) uint16 are valid.
    """
    pairs = all_pairs_knn(customer_items, count + 1, show_progress=False, num_threads=threads)
    useful = (pairs.row != pairs.col) & (pairs.data > 0)
    source, target, score = pairs.row[useful], pairs.col[useful], pairs.data[useful].astype(np.float32)
    order = np.lexsort((target, -score, source))
    source, target, score = source[order], target[order], score[order]
    counts = np.bincount(source, minlength=customer_items.shape[1])
    position = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = position < count
    rows = np.zeros((customer_items.shape[1], count), np.uint32)
    scores = np.zeros((customer_items.shape[1], count), np.float32)
    rows[source[kept], position[kept]] = target[kept]
    scores[source[kept], position[kept]] = score[kept]
    return rows, scores, np.minimum(counts, count).astype(np.uint16)


def diverged() -> InvalidInputError:
    """Say that a fit has failed, and what may help."""
    return InvalidInputError("factors", "the fit diverged; fewer factors or more regularization may help")
