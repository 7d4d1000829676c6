"""The model of a small shop of two tastes: items 0 to 9 are alike, and so are items 10 to 19."""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from models.candidates import CandidateList
from models.events import Event
from models.fold_model import EventScale, FoldModel, FoldWeights
from models.item_model import ItemModel
from models.registry import Registry
from tests.models_fixtures import (
    FIRST_EVENT_TIME,
    LAST_EVENT_TIME,
    candidate,
    candidate_list,
    candidate_table,
    item_id,
    item_model,
)

ITEMS = 20
LIST_SIZE = 8
EVENTS = {
    "purchase": {"weight": 1.0, "half_life_days": 90.0},
    "view": {"weight": 0.2, "half_life_days": 20.0},
    "return": {"weight": -1.0, "half_life_days": 90.0},
    "dismiss": {"weight": -2.0, "half_life_days": 180.0},
    "search": {"weight": 0.0, "half_life_days": 90.0},
}
ADAS = candidate_list([candidate(2, 0.5, bought=True), candidate(3, 0.25), candidate(4, 0.2), candidate(0, 0.1)])
"""What was published for ada: nothing of the second taste."""


def factors(seed: int = 1) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(0, 0.05, (ITEMS, 4)).astype(np.float32)
    noise[:10, 0] += 1
    noise[10:, 1] += 1
    return noise


def items() -> ItemModel:
    return item_model(ITEMS, {12: [(13, 0.9), (14, 0.4)], 2: [(3, 0.8)]})


def fold_model(list_size: int = LIST_SIZE, room_for_new: int = 4) -> FoldModel:
    scales = {name: EventScale(event["weight"], event["half_life_days"]) for name, event in EVENTS.items()}
    return FoldModel(factors(), scales, 2.0, 10.0, FoldWeights(2.0, 0.3, 2.0, 2.0, 1.0), list_size, room_for_new)


def write_foldable(
    registry: Registry, lists: Mapping[str, CandidateList] | None = None, later: timedelta = timedelta()
) -> str:
    """Write the model as a training would, and give its version; ``later`` moves the end of what it knows."""
    lists = lists or {"ada": ADAS}
    with registry.writer() as writer:
        writer.write_items(items())
        writer.write_factors(factors())
        writer.write_lists(candidate_table(lists))
        return writer.finish(
            first_event_time=FIRST_EVENT_TIME,
            last_event_time=LAST_EVENT_TIME + later,
            counts={"customers": len(lists), "items": ITEMS},
            configuration={
                "events": EVENTS,
                "factors": {"factors": 4, "regularization": 2.0, "confidence_scale": 10.0},
                "list_size": LIST_SIZE,
                "new_share": 0.5,
            },
            metrics={"ranker": {"weights": {"new": {"collaborative": 2.0, "neighbors": 0.3}}}},
        ).model_version


def event(number: int, row: int, event_type: str = "purchase", customer_id: str = "ada") -> Event:
    """Give an event some minutes after the training."""
    time = LAST_EVENT_TIME + timedelta(minutes=number)
    return Event(f"event-{number}", customer_id, event_type, time, item_id=item_id(row))
