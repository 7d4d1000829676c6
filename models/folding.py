"""Fresh candidates after an event: what a customer did since the training, folded into the list that was published.

Whatever ranked the published list, blend or trees, what is fresh adds to the log-odds that an item had: the score of
the factors for the fresh history, the likeness to its items, and whether the item itself was bought or viewed, with
weights that the training learned by replaying a window. The same list and the same events always give the same fresh
list, however often and in whichever order it is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.candidates import (
    BOUGHT_FLAG,
    CANDIDATE,
    EMPTY_LIST,
    MAXIMAL_EVIDENCE,
    NO_EVIDENCE,
    VIEWED_FLAG,
    CandidateList,
    Source,
)
from models.events import PURCHASE
from models.fold_model import LIKENESS_SHIFT, SIGNALS, FoldModel
from models.item_model import EVERYONE, ItemModel
from models.profile import ProfileEvent

EXACT_ITEMS = 50_000
"""Up to this size every item of the catalogue is scored; beyond, those that may matter (see :meth:`Folder.pool`)."""

_SECONDS_PER_DAY = 86_400
_SMALLEST, _LARGEST = 1e-5, 1 - 1e-4


@dataclass(frozen=True, slots=True)
class FreshHistory:
    """Holds what a customer did to items lately.

    ``rows`` (h,) int64, each once; ``weights`` (h,) float64, decayed, below 0 where the events speak against the item;
    ``bought`` (h,) tells which were bought.
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]
    bought: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Likeness:
    """Holds the items alike to a history, rows ascending.

    ``shares`` says how much, 0 … 1; ``strongest`` which place of the history contributed most.
    """

    rows: NDArray[np.int64]
    shares: NDArray[np.float64]
    strongest: NDArray[np.int64]

    def evidence_of(self, history: FreshHistory) -> dict[int, int]:
        """Give each item's evidence: the row that contributed most, with VIEWED_FLAG where it was not bought."""
        flags = np.where(history.bought, 0, VIEWED_FLAG)
        return dict(zip(self.rows.tolist(), (history.rows | flags)[self.strongest].tolist(), strict=True))


class Folder:
    """Makes lists with one model. Safe to share between threads."""

    def __init__(self, model: FoldModel, items: ItemModel) -> None:
        self._model = model
        self._items = items
        factors = model.item_factors
        gram = (factors.T @ factors).astype(np.float64)
        gram[np.diag_indices_from(gram)] += model.regularization
        self._inverse = np.linalg.inv(gram)
        self._prior = _log_odds(items.popularity * _shown_share(items))
        self._weights: tuple[float, ...] = astuple(model.weights)

    @property
    def item_factors(self) -> NDArray[np.float32]:
        """Give the factors of the model, (n, f)."""
        return self._model.item_factors

    @property
    def is_exact(self) -> bool:
        """Tell whether every item is scored."""
        return len(self._prior) <= EXACT_ITEMS

    def history(self, events: Sequence[ProfileEvent], now: datetime) -> FreshHistory:
        """Add up what events say about items, decayed to ``now``; what the model does not know is passed over."""
        weights: dict[int, float] = {}
        bought: set[int] = set()
        for event in events:
            row = self._items.vocabulary.row_of(event.item_id)
            scale = self._model.events.get(event.event_type)
            if row is None or scale is None or scale.weight == 0:
                continue
            days = max(0.0, (now - event.event_time).total_seconds() / _SECONDS_PER_DAY)
            weights[row] = weights.get(row, 0.0) + scale.weight * 0.5 ** (days / scale.half_life_days)
            if event.event_type == PURCHASE:
                bought.add(row)
        rows = sorted(weights)
        return FreshHistory(
            np.array(rows, dtype=np.int64),
            np.array([weights[row] for row in rows]),
            np.array([row in bought for row in rows], dtype=bool),
        )

    def fold(self, histories: Sequence[FreshHistory], published: Sequence[CandidateList | None]) -> list[CandidateList]:
        """Make a list for each customer from the history since the training and the list as it was published."""
        vectors = self.vectors(histories)
        factors = self._model.item_factors
        if self.is_exact:
            rows = np.arange(len(factors))
            scores = vectors @ factors.T
            return [
                self._list(rows, own, history, base)
                for own, history, base in zip(scores, histories, published, strict=True)
            ]
        lists = []
        for vector, history, base in zip(vectors, histories, published, strict=True):
            pool = self.pool(history, base)
            lists.append(self._list(pool, factors[pool] @ vector, history, base))
        return lists

    def pool(self, history: FreshHistory, published: CandidateList | None) -> NDArray[np.int64]:
        """Give the rows that may matter in a large catalogue, ascending.

        They are those of the published list, of everyone's, of the history and of its neighbours.
        """
        own = (published or EMPTY_LIST).candidates["row"]
        near = [self._items.neighbors_of(int(row))[0] for row in history.rows]
        return np.unique(
            np.concatenate([own, self._items.shared_lists[EVERYONE]["row"], history.rows, *near]).astype(np.int64)
        )

    def vectors(self, histories: Sequence[FreshHistory]) -> NDArray[np.float32]:
        """Fold each history into a vector of factors, (len(histories), f)."""
        return np.array([self._vector(history) for history in histories], dtype=np.float32)

    def _vector(self, history: FreshHistory) -> NDArray[np.float64]:
        """Fold a history in (Hu, Koren and Volinsky 2008, equation 4), by the matrix inversion lemma.

        The customer's factors solve (YᵀY + λI + Yᵀ(C - I)Y) x = YᵀCp; with few items C - I has a small rank.
        """
        rows = self._model.item_factors[history.rows].astype(np.float64)
        return self._solved(history, rows.T @ self._confidences(history))

    def shares(self, history: FreshHistory, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Share out over a history what the factors give to items, ``rows`` (n,): (n, h), a row adds up to its score.

        The score of an item i is yᵢᵀ(YᵀCY + λI)⁻¹YᵀCp: a sum with one term for each item of the history (Hu, Koren and
        Volinsky 2008, section 5). What the events speak against has none of its own: it is in the inverse alone.
        """
        factors = self._model.item_factors
        seen = self._solved(history, factors[rows].T.astype(np.float64))
        shared: NDArray[np.float64] = (factors[history.rows].astype(np.float64) @ seen).T * self._confidences(history)
        return shared

    def _confidences(self, history: FreshHistory) -> NDArray[np.float64]:
        """Give the diagonal of C where p is 1, and 0 where it is 0, of the items of a history."""
        return np.where(history.weights > 0, 1 + self._model.confidence_scale * np.abs(history.weights), 0.0)

    def _solved(self, history: FreshHistory, targets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Multiply targets, (f,) or (f, n), with the inverse of YᵀCY + λI."""
        start: NDArray[np.float64] = self._inverse @ targets
        if len(history.rows) == 0:
            return start
        rows = self._model.item_factors[history.rows].astype(np.float64)
        extra = self._model.confidence_scale * np.abs(history.weights)
        spread = rows @ self._inverse
        small = np.diag(1 / np.maximum(extra, 1e-9)) + spread @ rows.T
        solved: NDArray[np.float64] = start - spread.T @ np.linalg.solve(small, rows @ start)
        return solved

    def odds(
        self,
        rows: NDArray[np.int64],
        scores: NDArray[np.float32],
        history: FreshHistory,
        published: CandidateList | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the log-odds that items had, and what is fresh of each.

        ``rows`` (n,) ascend and hold the pool, ``scores`` (n,) are the factors'. The log-odds (n,) are those of the
        published list; what is not in it had less than the least of it, or the share of customers who buy it. What is
        fresh (n, len(SIGNALS)) adds to them with the weights of the model.
        """
        near = self._likeness(history, is_known=published is not None)
        signals = np.zeros((len(rows), len(SIGNALS)))
        for column, (places, values) in enumerate(_signals(rows, scores, history, near, published)):
            signals[places, column] = values
        return self._before(rows, published or EMPTY_LIST), signals

    def _list(
        self,
        rows: NDArray[np.int64],
        scores: NDArray[np.float32],
        history: FreshHistory,
        published: CandidateList | None,
    ) -> CandidateList:
        """Rank some items, ``rows`` ascending with their scores, and keep the best."""
        base = published or EMPTY_LIST
        near = self._likeness(history, is_known=published is not None)
        odds = self._before(rows, base)
        for weight, (places, values) in zip(
            self._weights, _signals(rows, scores, history, near, published), strict=True
        ):
            odds[places] += weight * values
        odds[np.searchsorted(rows, history.rows[history.weights < 0])] = -np.inf
        bought = np.zeros(len(rows), dtype=bool)
        was_bought = (base.candidates["source"] & BOUGHT_FLAG) != 0
        bought[np.searchsorted(rows, base.candidates["row"][was_bought])] = True
        bought[np.searchsorted(rows, history.rows[history.bought])] = True
        kept = _best(odds, bought, self._model.list_size, self._model.room_for_new)
        return _packed(rows[kept], odds[kept], bought[kept], near.evidence_of(history), base)

    def _before(self, rows: NDArray[np.int64], base: CandidateList) -> NDArray[np.float64]:
        """Give the log-odds that items had before anything fresh."""
        odds = self._prior[rows]
        if len(base.candidates):
            own = _log_odds(base.candidates["score"])
            np.minimum(odds, own.min(), out=odds)
            odds[np.searchsorted(rows, base.candidates["row"])] = own
        return odds

    def _likeness(self, history: FreshHistory, *, is_known: bool) -> _Likeness:
        """Find what is alike to a history. As in training, each item speaks with the root of its part in the whole.

        What happened before the training counts as much as one purchase. An item is its own nearest neighbour.
        """
        liked = np.flatnonzero(history.weights > 0)
        parts = np.sqrt(history.weights[liked])
        parts /= max(float(parts.sum()) + (1.0 if is_known else 0.0), 1e-12)
        items, rows = self._items, history.rows[liked]
        valid = np.arange(items.neighbor_rows.shape[1]) < items.neighbor_counts[rows][:, np.newaxis]
        contributions = (items.neighbor_scores[rows] * parts[:, np.newaxis])[valid]
        neighbors = np.concatenate([rows, items.neighbor_rows[rows][valid]])
        contributions = np.concatenate([parts, contributions])
        speakers = np.concatenate([liked, np.repeat(liked, valid.sum(axis=1))])
        found, places = np.unique(neighbors, return_inverse=True)
        strongest = np.empty(len(found), dtype=np.int64)
        # The last assignment to a place stays: that of the largest contribution.
        order = np.argsort(contributions, kind="stable")
        strongest[places[order]] = speakers[order]
        shares = np.bincount(places, weights=contributions, minlength=len(found)).astype(np.float64)
        return _Likeness(found, shares, strongest)


def _signals(
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    history: FreshHistory,
    near: _Likeness,
    published: CandidateList | None,
) -> Sequence[tuple[NDArray[np.int64] | slice, NDArray[np.floating]]]:
    """Say what is fresh: for each of SIGNALS the places in ``rows`` where it is something, and what it is there."""
    own = np.searchsorted(rows, history.rows)
    others = np.ones(len(near.rows), dtype=bool)
    # Whatever is liked is alike to itself.
    others[np.searchsorted(near.rows, history.rows[history.weights > 0])] = False
    known = set((published or EMPTY_LIST).candidates["row"].tolist())
    listed = np.array([row in known for row in history.rows.tolist()], dtype=bool)
    ones = np.ones(len(own))
    return (
        (slice(None), np.clip(scores, -1, 2)),
        (np.searchsorted(rows, near.rows[others]), np.log1p(near.shares[others] / LIKENESS_SHIFT)),
        (own[history.bought], ones[history.bought]),
        (own[~history.bought], ones[~history.bought]),
        (own[~listed], ones[~listed]),
    )


def _best(odds: NDArray[np.float64], bought: NDArray[np.bool_], size: int, room_for_new: int) -> NDArray[np.int64]:
    """Choose the likeliest, best first, ``room_for_new`` of them not bought before if there are; equal ones by row."""
    order = _falling(odds, min(len(odds), size + int(bought.sum())))
    is_new = ~bought[order]
    favoured = is_new & (np.cumsum(is_new) <= room_for_new)
    others = ~favoured
    kept: NDArray[np.int64] = order[favoured | (others & (np.cumsum(others) <= size - int(favoured.sum())))]
    return kept


def _falling(odds: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Give the places of the ``count`` highest finite values, highest first; equal ones in their order."""
    if count < len(odds):
        threshold = np.partition(odds, len(odds) - count)[len(odds) - count]
        chosen = np.flatnonzero((odds >= threshold) & np.isfinite(odds))
    else:
        chosen = np.flatnonzero(np.isfinite(odds))
    order: NDArray[np.int64] = chosen[np.argsort(-odds[chosen], kind="stable")][:count]
    return order


def _packed(
    rows: NDArray[np.int64],
    odds: NDArray[np.float64],
    bought: NDArray[np.bool_],
    fresh_evidence: Mapping[int, int],
    base: CandidateList,
) -> CandidateList:
    """Give sources and evidence: what is fresh speaks first, then what the published list said."""
    said_before = _reasons_of(base)
    candidates = np.zeros(len(rows), dtype=CANDIDATE)
    candidates["row"] = rows
    candidates["score"] = 1 / (1 + np.exp(-odds))
    evidence: dict[int, int] = {}
    reasons = []
    for row, was_bought in zip(rows.tolist(), bought.tolist(), strict=True):
        source, packed = said_before.get(row, (int(Source.COLLABORATIVE), None))
        if was_bought:
            source, packed = Source.REBUY | BOUGHT_FLAG, None
        elif row in fresh_evidence:
            source, packed = Source.NEIGHBORS, fresh_evidence[row]
        place = NO_EVIDENCE
        if packed is not None and (packed in evidence or len(evidence) < MAXIMAL_EVIDENCE):
            place = evidence.setdefault(packed, len(evidence))
        reasons.append((source, place))
    if reasons:
        candidates["source"], candidates["evidence"] = np.array(reasons, dtype=np.uint8).T
    return CandidateList(candidates, np.array(list(evidence), dtype=np.uint32))


def _reasons_of(base: CandidateList) -> dict[int, tuple[int, int | None]]:
    """Give source and packed evidence of each candidate, by row."""
    evidence = base.evidence_rows.tolist()
    return {
        row: (source, None if place == NO_EVIDENCE else evidence[place])
        for row, _, source, place in base.candidates.tolist()
    }


def _log_odds(scores: NDArray[np.floating] | np.floating) -> NDArray[np.float64]:
    probabilities = np.clip(np.asarray(scores, dtype=np.float64), _SMALLEST, _LARGEST)
    odds: NDArray[np.float64] = np.log(probabilities / (1 - probabilities))
    return odds


def _shown_share(items: ItemModel) -> float:
    """Give what popularity is multiplied with to be the share of customers who buy: everyone's list holds both."""
    everyone = items.shared_lists[EVERYONE]
    if len(everyone) == 0:
        return 1.0
    first = everyone[0]
    return float(first["score"]) / max(float(items.popularity[first["row"]]), 1e-12)
