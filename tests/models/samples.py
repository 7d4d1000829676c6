"""A model small enough to be read whole, for whoever needs one on disk."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.candidates import BOUGHT_FLAG, CANDIDATE, NO_EVIDENCE, VIEWED_FLAG, CandidateTable, Source
from models.item_model import EVERYONE, ItemModel
from models.manifest import Manifest
from models.registry import Registry
from models.vocabulary import Vocabulary

ITEM_IDS = ("apple", "bread", "cheese", "dates")
CUSTOMER_IDS = ["ada", "bob", "eve"]


def small_item_model() -> ItemModel:
    return ItemModel(
        vocabulary=Vocabulary(ITEM_IDS),
        popularity=np.array([1.0, 0.5, 0.25, 0.125], dtype=np.float32),
        neighbor_rows=np.array([[1, 2], [0, 3], [0, 0], [1, 0]], dtype=np.uint32),
        neighbor_scores=np.array([[0.9, 0.5], [0.9, 0.25], [0.5, 0.0], [0.25, 0.0]], dtype=np.float32),
        neighbor_counts=np.array([2, 2, 1, 1], dtype=np.uint16),
        shared_lists={
            EVERYONE: np.array(
                [(0, 1.0, Source.POPULAR, NO_EVIDENCE), (1, 0.5, Source.POPULAR, NO_EVIDENCE)], CANDIDATE
            ),
            "north": np.array([(3, 1.0, Source.SEGMENT, NO_EVIDENCE)], CANDIDATE),
        },
    )


def small_table(customer_ids: list[str] | None = None) -> CandidateTable:
    """Give every customer the same three candidates: a rebuy, a neighbor of something viewed, and a popular item."""
    ids = CUSTOMER_IDS if customer_ids is None else customer_ids
    row = np.array(
        [(0, 3.0, Source.REBUY | BOUGHT_FLAG, 0), (2, 2.0, Source.NEIGHBORS, 1), (3, 1.0, Source.POPULAR, NO_EVIDENCE)],
        CANDIDATE,
    )
    count = len(ids)
    return CandidateTable(
        customer_ids=ids,
        candidates=np.tile(row, (count, 1)),
        counts=np.full(count, len(row), dtype=np.uint16),
        evidence_rows=np.tile(np.array([0, 1 | VIEWED_FLAG], dtype=np.uint32), (count, 1)),
        evidence_counts=np.full(count, 2, dtype=np.uint8),
    )


def write_small_artifact(root: Path, day: int = 1) -> Manifest:
    """Write an artifact whose last event is on a day of December 2017; another day makes another version."""
    with Registry(root).writer() as writer:
        writer.write_items(small_item_model())
        writer.write_factors(np.arange(8, dtype=np.float32).reshape(4, 2))
        writer.write_lists(small_table())
        return writer.finish(
            first_event_time=datetime(2017, 1, 1, tzinfo=UTC),
            last_event_time=datetime(2017, 12, day, 23, 59, tzinfo=UTC),
            counts={"customers": 3, "items": 4, "interactions": 9, "events": 12},
            configuration={"list_size": 3, "seed": 42},
            metrics={"all": {"recall@20": 0.5}},
        )
