"""A shop of many tastes, whose lists can be made fresh: who views an item of a taste is offered that taste next.

Customer *n* has the taste *n* modulo TASTES, and their published list holds nothing else. So an answer tells whether
what was done since is in it.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from models.candidates import CANDIDATE, NO_EVIDENCE, CandidateTable, Source
from models.fold_model import FoldWeights
from models.item_model import EVERYONE, ItemModel
from models.registry import Registry
from models.vocabulary import Vocabulary

TASTES = 50
LIST_SIZE = 100
FACTORS = 64
LAST_EVENT = datetime(2026, 1, 1, tzinfo=UTC)
_NEIGHBORS = 20
_STRONG = FoldWeights(collaborative=5.0, neighbors=2.0, bought=1.0, viewed=1.0, unlisted=1.0)
"""So that one event shows, as if trees had ranked: what is measured is when lists change, not how well."""

_CHUNK = 10_000


def customer_id(number: int) -> str:
    """Name a customer; names are in the order of their numbers."""
    return f"customer-{number:08d}"


def item_id(row: int) -> str:
    """Name an item; its taste is its row modulo TASTES."""
    return f"item-{row:06d}"


def taste_of(item: str) -> int:
    """Give the taste of an item."""
    return int(item.removeprefix("item-")) % TASTES


def write_model(registry: Registry, items: int, customers: int) -> str:
    """Write the shop's model as a training would, make it the current one, and give its version."""
    with registry.writer() as writer:
        writer.write_items(_items(items))
        writer.write_factors(_factors(items))
        for start in range(0, customers, _CHUNK):
            writer.write_lists(_lists(range(start, min(start + _CHUNK, customers)), items))
        version = writer.finish(
            first_event_time=LAST_EVENT,
            last_event_time=LAST_EVENT,
            counts={"customers": customers, "items": items},
            configuration={
                "events": {name: {"weight": 1.0, "half_life_days": 90.0} for name in ("purchase", "view")},
                "factors": {"regularization": 1.0, "confidence_scale": 10.0},
                "list_size": LIST_SIZE,
                "new_share": 0.3,
            },
            metrics={"ranker": {"kind": "learned"}, "fold": {"weights": asdict(_STRONG)}},
        ).model_version
    registry.promote(version)
    return version


def _factors(items: int) -> np.ndarray:
    factors = np.random.default_rng(1).normal(0, 0.02, (items, FACTORS)).astype(np.float32)
    factors[np.arange(items), np.arange(items) % TASTES] += 1
    return factors


def _items(items: int) -> ItemModel:
    everyone = np.zeros(LIST_SIZE, dtype=CANDIDATE)
    everyone["row"] = np.arange(LIST_SIZE)
    everyone["score"] = np.linspace(0.1, 0.05, LIST_SIZE)
    everyone["source"], everyone["evidence"] = Source.POPULAR, NO_EVIDENCE
    rows = np.arange(items)
    return ItemModel(
        vocabulary=Vocabulary([item_id(row) for row in range(items)]),
        popularity=np.linspace(1.0, 0.05, items, dtype=np.float32),
        neighbor_rows=((rows[:, None] + TASTES * (1 + np.arange(_NEIGHBORS))) % items).astype(np.uint32),
        neighbor_scores=np.linspace(0.9, 0.1, _NEIGHBORS, dtype=np.float32)[None, :].repeat(items, axis=0),
        neighbor_counts=np.full(items, _NEIGHBORS, dtype=np.uint16),
        shared_lists={EVERYONE: everyone},
    )


def _lists(numbers: Iterable[int], items: int) -> CandidateTable:
    tastes = np.array(list(numbers))
    candidates = np.zeros((len(tastes), LIST_SIZE), dtype=CANDIDATE)
    candidates["row"] = (tastes[:, None] % TASTES + TASTES * np.arange(LIST_SIZE)) % items
    candidates["score"] = np.linspace(0.3, 0.05, LIST_SIZE)
    candidates["source"], candidates["evidence"] = Source.COLLABORATIVE, NO_EVIDENCE
    return CandidateTable(
        [customer_id(number) for number in tastes.tolist()],
        candidates,
        np.full(len(tastes), LIST_SIZE, dtype=np.uint16),
        np.zeros((len(tastes), 1), dtype=np.uint32),
        np.zeros(len(tastes), dtype=np.uint8),
    )
