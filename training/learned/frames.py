"""The candidates of some customers at a moment, and what is known of each: the rows that trees look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.config import LearnedSource
from training.learned.families import FAMILY_FEATURES
from training.learned.groups import group_features
from training.learned.models import MODELS
from training.learned.moment import Moment
from training.learned.pairs import HALF_LIVES, NEVER
from training.learned.traits import CUSTOMER_TRAITS, ITEM_TRAITS
from training.sources.scorer import best_of

_PAIR_FEATURES = (
    "own-count",
    *(f"own-decayed-{life:.0f}" for life in HALF_LIVES),
    "own-since",
    "own-age",
    "own-gap",
    "own-due",
    "own-share",
    "own-per-basket",
    "own-season",
    "own-spend",
    "own-attention",
    "own-attention-since",
)
_CROSS_FEATURES = ("price-difference",)
_FALLBACK_RANK = 1_000


def features_of(sources: Sequence[LearnedSource], attributes: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Name the columns of a frame whose items these sources find, for customers with attributes of these names."""
    models = [name for name in MODELS if name in sources]
    return (
        *_PAIR_FEATURES,
        *(feature for name in models for feature in (name, part_of(name))),
        part_of("trend"),
        "blend",
        "blend-rank",
        *ITEM_TRAITS,
        *CUSTOMER_TRAITS,
        *FAMILY_FEATURES,
        *_CROSS_FEATURES,
        *group_features(attributes),
    )


def part_of(source: str) -> str:
    """Name the feature that holds a source's score in parts of its best of the customer."""
    return f"{source}-part"


@dataclass(frozen=True, slots=True)
class FrameSizes:
    """Bounds a customer's candidates: those met before, and those found by the sources."""

    own: int
    found: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Holds the c candidates of n customers, by customer.

    ``owners`` (c,) ascend through 0 … n-1; ``item_rows`` (c,); ``pairs`` (c,) points into the moment's pairs, -1
    where the customer never met the item; ``features`` (c, f) float32, named by :func:`features_of`.
    """

    owners: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    pairs: NDArray[np.int64]
    features: NDArray[np.float32]

    def is_found(self) -> NDArray[np.bool_]:
        """Tell of every candidate whether a source found it; the customer met the others before."""
        return self.pairs < 0

    def where(self, kept: NDArray[np.int64] | NDArray[np.bool_]) -> "Frame":
        """Keep some candidates, in their order."""
        return Frame(self.owners[kept], self.item_rows[kept], self.pairs[kept], self.features[kept])


def frame_of(moment: Moment, customer_rows: NDArray[np.int64], sizes: FrameSizes) -> Frame:
    """Gather and describe the candidates of some customers."""
    sources = moment.sources
    scores = [model.score(customer_rows) for model in sources.models]
    bests = [_best(score) for score in scores]
    blend = _blend(len(customer_rows), scores, bests, sources.trend)
    owners, pairs = _own(moment, customer_rows, sizes.own)
    found_owners, found_columns = _found(moment, customer_rows, blend, sizes.found)
    items = np.concatenate([moment.pairs.item[pairs], sources.columns[found_columns]])
    owners = np.concatenate([owners, found_owners])
    pairs = np.concatenate([pairs, np.full(len(found_columns), -1)])
    rank = np.concatenate([np.full(len(owners) - len(found_columns), _FALLBACK_RANK), _places(found_owners)])
    order = np.argsort(owners, kind="stable")
    owners, items, pairs, rank = owners[order], items[order], pairs[order], rank[order]
    parts = (
        _describe_pairs(moment, customer_rows, owners, pairs),
        _describe_sources(moment, scores, bests, blend, owners, items, rank),
        moment.items[items],
        moment.customers[customer_rows][owners],
        _describe_families(moment, customer_rows[owners], items, pairs),
        _describe_crossings(moment, customer_rows, owners, items),
        moment.groups.describe(customer_rows[owners], sources.place[items]),
    )
    return Frame(owners, items, pairs, np.concatenate(parts, axis=1))


def _own(moment: Moment, customer_rows: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give owner and pair of what the customers met and nothing speaks against, at most so many each, by owner."""
    known = moment.pairs
    owners, pairs = known.of(customer_rows)
    kept = known.liking[pairs] >= 0
    owners, pairs = owners[kept], pairs[kept]
    weight = known.decayed[pairs, 2] + np.float32(0.001) * known.count[pairs] + known.attention[pairs]
    order = np.lexsort((-weight, owners))
    owners, pairs = owners[order], pairs[order]
    chosen = _places(owners) < most
    return owners[chosen], pairs[chosen]


def _best(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give each row's highest score, (n, 1), above 0 in any case."""
    best: NDArray[np.float32] = np.maximum(scores.max(axis=1, keepdims=True, initial=0), np.float32(1e-9))
    return best


def _blend(
    customers: int,
    scores: Sequence[NDArray[np.float32]],
    bests: Sequence[NDArray[np.float32]],
    trend: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Add the sources up, each in parts of its best score of the customer, on what sells."""
    blend = np.repeat(trend[np.newaxis], customers, axis=0)
    for score, best in zip(scores, bests, strict=True):
        blend += np.maximum(score, 0) / best
    return blend


def _found(
    moment: Moment, customer_rows: NDArray[np.int64], blend: NDArray[np.float32], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give owner and column of the best by the blend that the customers never met, by owner, best first."""
    known = moment.pairs
    open_columns = blend.copy()
    owners, pairs = known.of(customer_rows)
    columns = moment.sources.place[known.item[pairs]]
    open_columns[owners[columns >= 0], columns[columns >= 0]] = -1
    best, values = best_of(open_columns, most)
    owners, places = np.nonzero(values > 0)
    return owners, best[owners, places]


def _describe_pairs(
    moment: Moment, customer_rows: NDArray[np.int64], owners: NDArray[np.int64], pairs: NDArray[np.int64]
) -> NDArray[np.float32]:
    known, met = moment.pairs, pairs >= 0
    part = np.zeros((len(pairs), len(_PAIR_FEATURES)), dtype=np.float32)
    part[:, [5, 6, 7, 14]] = np.log1p(NEVER)
    cells, mine = pairs[met], owners[met]
    count, last, first = known.count[cells], known.last_age[cells], known.first_age[cells]
    gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), NEVER)
    total = np.bincount(mine, known.decayed[cells, 2], len(customer_rows))
    baskets = np.expm1(moment.customers[customer_rows, 0])
    part[met] = np.stack(
        (
            np.log1p(count),
            *known.decayed[cells].T,
            np.log1p(last),
            np.log1p(first),
            np.log1p(gap),
            np.where(count > 1, np.log((last + 1) / (gap + 1)), 0),
            known.decayed[cells, 2] / np.maximum(total[mine], 1e-6),
            count / np.maximum(baskets[mine], 1),
            known.season[cells],
            np.log1p(np.maximum(known.spend[cells], 0)),
            known.attention[cells],
            np.log1p(known.attention_age[cells]),
        ),
        axis=1,
    )
    return part


def _describe_sources(
    moment: Moment,
    scores: Sequence[NDArray[np.float32]],
    bests: Sequence[NDArray[np.float32]],
    blend: NDArray[np.float32],
    owners: NDArray[np.int64],
    items: NDArray[np.int64],
    rank: NDArray[np.int64],
) -> NDArray[np.float32]:
    columns = moment.sources.place[items]
    inside = columns >= 0
    trend = moment.sources.trend
    part = np.zeros((len(owners), 2 * len(scores) + 3), dtype=np.float32)
    mine, place = owners[inside], columns[inside]
    cells = mine * len(trend) + place
    for index, (score, best) in enumerate(zip(scores, bests, strict=True)):
        values = score.ravel()[cells]
        part[inside, 2 * index] = values
        part[inside, 2 * index + 1] = values / best[mine, 0]
    part[inside, -3] = trend[place] / max(float(trend.max(initial=0)), 1e-9)
    part[inside, -2] = blend.ravel()[cells]
    part[:, -1] = np.log1p(rank)
    return part


def _describe_families(
    moment: Moment, customers: NDArray[np.int64], items: NDArray[np.int64], pairs: NDArray[np.int64]
) -> NDArray[np.float32]:
    own = np.zeros(len(pairs), dtype=np.float32)
    own[pairs >= 0] = moment.pairs.decayed[pairs[pairs >= 0], 2]
    return moment.families.describe(customers, items, own)


def _describe_crossings(
    moment: Moment, customer_rows: NDArray[np.int64], owners: NDArray[np.int64], items: NDArray[np.int64]
) -> NDArray[np.float32]:
    price = moment.items[items, ITEM_TRAITS.index("item-price")]
    usual = moment.customers[customer_rows, CUSTOMER_TRAITS.index("customer-spend")]
    difference: NDArray[np.float32] = price - usual[owners]
    return difference[:, np.newaxis]


def _places(owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each element's 0-based place among those of its owner; ``owners`` ascend."""
    counts = np.bincount(owners) if len(owners) else np.empty(0, dtype=np.int64)
    places: NDArray[np.int64] = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places
