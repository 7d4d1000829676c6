"""Lists for whoever is unknown: what sells now, to everyone and to each segment."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.candidates import CANDIDATE, NO_EVIDENCE, CandidateArray, Source
from models.item_model import EVERYONE
from training.config import TrainingConfiguration
from training.event_store import SECONDS_PER_DAY, EventStore
from training.interactions import Interactions

_BORROWED_CUSTOMERS = 20.0
"""A segment's counts are mixed with so many imaginary customers who buy as everyone does."""


def popularity_of(interactions: Interactions) -> NDArray[np.float32]:
    """Score items 0 … 1 by their buyers in the popularity window, those without any by earlier buyers and attention."""
    buyers, attention = interactions.buyers(), interactions.buyers(0)
    score = (
        interactions.recent_buyers + 0.01 * buyers / max(1, buyers.max()) + 1e-4 * attention / max(1, attention.max())
    )
    popularity: NDArray[np.float32] = (score / max(float(score.max()), 1e-12)).astype(np.float32)
    return popularity


def shared_lists(
    store: EventStore, configuration: TrainingConfiguration, interactions: Interactions, popularity: NDArray[np.float32]
) -> Mapping[str, CandidateArray]:
    """Make everyone's list and that of every segment with enough customers; scores are shares of buying customers."""
    start = interactions.cut - int(configuration.popularity_days * SECONDS_PER_DAY)
    code = list(configuration.event_weights()).index(configuration.target)
    bounds = [code, start, interactions.cut]
    active = store.table(
        "SELECT count(DISTINCT customer) AS active FROM events WHERE type = ? AND seconds >= ? AND seconds < ?", bounds
    )
    scale = max(float(interactions.recent_buyers.max()), 1.0) / max(int(active["active"][0]), 1)
    everyone = popularity * np.float32(min(scale, 1.0))
    lists = {EVERYONE: _best(everyone, configuration.shared_list_size, Source.POPULAR)}
    for segment, active_customers in _segments(store, configuration, bounds):
        buyers = store.table(
            """SELECT item, count(DISTINCT customer) AS buyers FROM events JOIN memberships USING (customer)
               WHERE type = ? AND seconds >= ? AND seconds < ? AND segment = ? GROUP BY item""",
            [*bounds, segment],
        )
        score = everyone * np.float32(_BORROWED_CUSTOMERS)
        score[buyers["item"]] += buyers["buyers"]
        score /= np.float32(active_customers + _BORROWED_CUSTOMERS)
        lists[segment] = _best(score, configuration.shared_list_size, Source.SEGMENT)
    return lists


def _segments(store: EventStore, configuration: TrainingConfiguration, bounds: list[int]) -> list[tuple[str, int]]:
    found = store.table(
        """SELECT segment, count(*) FILTER (customer IN (SELECT customer FROM events
                  WHERE type = ? AND seconds >= ? AND seconds < ?)) AS active
           FROM memberships GROUP BY segment HAVING count(*) >= ? ORDER BY segment""",
        [*bounds, configuration.minimal_segment_customers],
    )
    return list(zip(found["segment"].tolist(), found["active"].tolist(), strict=True))


def _best(scores: NDArray[np.float32], size: int, source: Source) -> CandidateArray:
    rows = np.argsort(-scores, kind="stable")[:size]
    rows = rows[scores[rows] > 0]
    candidates = np.zeros(len(rows), dtype=CANDIDATE)
    candidates["row"] = rows
    candidates["score"] = scores[rows]
    candidates["source"] = source
    candidates["evidence"] = NO_EVIDENCE
    return candidates
